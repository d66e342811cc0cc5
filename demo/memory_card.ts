import type { BytesByRole } from "../src/index.ts";
import type { OptimizerName } from "../src/exports/optim.ts";
import { formatBytes, type Role, ROLES, totalBytes } from "../src/exports/plan.ts";
import { byId, count, create, createSvg, find } from "./dom.ts";
import type { PlanReport } from "./protocol.ts";

const MEANING: Readonly<Record<Role, string>> = {
  frozen: "weights that stay, tables",
  trainable: "weights that are trained",
  gradient: "of what is trained",
  state: "what the optimizer remembers",
  activation: "kept for the backward pass",
  input: "batches, kernel parameters",
  output: "losses and logits read back",
  scratch: "within a step",
};

const swatch = (role: Role): HTMLElement =>
  create("span", { class: "swatch", style: `--role: var(--${role})`, "aria-hidden": "true" });
const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`;

/** Shows the plan of the run, role by role. `largest` is the adapter's limit for one buffer, if known. */
export function showLedger(
  { model, parameters, trainable_parameters, rows, bytes }: PlanReport,
  largest: number | undefined,
): void {
  const total = totalBytes(bytes), table = byId("ledger");
  const trained = trainable_parameters === parameters ? "" : `, ${count(trainable_parameters)} of them trained`;
  byId("memory-subject").textContent = `${model} with ${
    count(parameters)
  } parameters${trained}: all that the run will allocate on the GPU.`;
  find(table, "tbody").replaceChildren(
    ...rows.map((row) =>
      create(
        "tr",
        {},
        create("th", { scope: "row" }, swatch(row.role), row.role, create("small", {}, MEANING[row.role])),
        create("td", {}, formatBytes(row.bytes)),
        create("td", {}, percent(row.bytes, total)),
        create("td", {}, count(row.buffers)),
        create("td", { class: "label" }, `${formatBytes(row.largest.bytes)} `, create("small", {}, row.largest.label)),
      )
    ),
  );
  find(table, "tfoot").replaceChildren(
    create(
      "tr",
      {},
      create("th", { scope: "row" }, "total"),
      create("td", { id: "planned-total" }, formatBytes(total)),
      create("td", { colspan: "3" }),
    ),
  );
  byId("budget").textContent = `Takes ${formatBytes(total)} of GPU memory`;
  showLimit(Math.max(...rows.map((row) => row.largest.bytes)), largest);
}

function showLimit(bytes: number, limit: number | undefined): void {
  if (limit === undefined) return byId("limit").replaceChildren();
  const text = `The largest buffer is ${formatBytes(bytes)}; the adapter allows ${formatBytes(limit)}.`;
  const meter = create("meter", {
    min: "0",
    max: String(limit),
    high: String(0.8 * limit),
    value: String(bytes),
    "aria-label": "Largest buffer, of the adapter's limit",
  }, text);
  byId("limit").replaceChildren(meter, " ", text);
}

/**
 * One stacked bar for each optimizer, all on the scale of the largest. An optimizer that the model cannot have is a
 * line with its reason.
 */
export function showComparison(plans: ReadonlyMap<OptimizerName, BytesByRole | string>, chosen: OptimizerName): void {
  const fitting = [...plans.values()].filter((bytes) => typeof bytes !== "string");
  const scale = Math.max(...fitting.map(totalBytes));
  byId("bars").replaceChildren(
    ...[...plans].map(([optim, bytes]) =>
      create(
        "div",
        { class: optim === chosen ? "bar chosen" : "bar" },
        create("span", {}, optim),
        ...(typeof bytes === "string" ? [create("span", { class: "problem" }, bytes)] : [
          stackedBar(optim, bytes, scale),
          create("span", { class: "number" }, formatBytes(totalBytes(bytes))),
        ]),
      )
    ),
  );
  const roles = ROLES.filter((role) => fitting.some((bytes) => bytes[role] > 0));
  byId("comparison").replaceChildren(
    create("caption", { class: "hidden" }, "Planned GPU memory by optimizer and role"),
    create(
      "thead",
      {},
      create("tr", {}, ...["Optimizer", ...roles, "total"].map((name) => create("th", { scope: "col" }, name))),
    ),
    create(
      "tbody",
      {},
      ...[...plans].map(([optim, bytes]) =>
        create(
          "tr",
          {},
          create("th", { scope: "row" }, optim),
          ...(typeof bytes === "string"
            ? [create("td", { colspan: String(roles.length + 1), class: "problem" }, bytes)]
            : [...roles.map((role) => bytes[role]), totalBytes(bytes)].map((n) => create("td", {}, formatBytes(n)))),
        )
      ),
    ),
  );
}

function stackedBar(optim: OptimizerName, bytes: BytesByRole, scale: number): SVGElement {
  let x = 0;
  const segments = ROLES.filter((role) => bytes[role] > 0).map((role) => {
    const width = (100 * bytes[role]) / scale;
    const segment = createSvg(
      "rect",
      { x, width, y: 0, height: 10, style: `fill: var(--${role})` },
      createSvg("title", {}, `${role}: ${formatBytes(bytes[role])}`),
    );
    x += width;
    return segment;
  });
  const title = createSvg("title", {}, `${optim}: ${formatBytes(totalBytes(bytes))} in all`);
  return createSvg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img" }, title, ...segments);
}
