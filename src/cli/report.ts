import process from "node:process";
import { SingleBar } from "cli-progress";
import type { Summary, TrainEvent } from "../train/events.ts";
import type { Evaluation } from "../train/session.ts";

interface Start {
  readonly adapter: string;
  readonly dataset: string;
  /** Name of the model: "LLaMA", or the folder of a pretrained one. */
  readonly model: string;
  readonly parameters: number;
  readonly trainable_parameters: number;
  readonly vocab_size: number;
  /** Sizes of the dataset by name. */
  readonly data: Readonly<Record<string, number | string>>;
  readonly ledger: string;
}

/** Shows the user the progress of a run. */
export interface Report {
  start(start: Start): void;
  event(event: TrainEvent): void;
  note(message: string): void;
  /** Gives the terminal back, after any end of the run. */
  close(): void;
  /** Shows that the run ended well. */
  end(path: string): void;
}

type StepEvent = Extract<TrainEvent, { type: "step" }>;

/** A report of one JSON object a line; the last one is the summary. */
export function jsonReport(): Report {
  let summary: Summary | undefined;
  const line = (value: unknown): void => console.log(JSON.stringify(value));
  return {
    start: line,
    event(event) {
      if (event.type === "end") summary = event.summary;
      else if (event.type === "checkpoint") line({ type: event.type, step: event.step });
      else if (event.type !== "compiling") line(event);
    },
    note: (message) => console.error(`note: ${message}`),
    close() {},
    end: (path) => line({ summary: { ...summary, path } }),
  };
}

/** A report of a live line in a terminal, of plain lines elsewhere. */
export function textReport(maxSteps: number): Report {
  const live = Deno.stdout.isTerminal();
  const bar = new SingleBar({
    format: "{bar} {text}",
    hideCursor: true,
    clearOnComplete: true,
    barsize: 20,
    stopOnComplete: false,
    stream: process.stdout,
  });
  let barShown = false, lastPlain = 0;
  let summary: Summary | undefined, sampled = "";
  const hide = (): void => {
    if (barShown) bar.stop();
    barShown = false;
  };
  const say = (text: string): void => {
    hide();
    console.log(text);
  };
  const step = (event: StepEvent): void => {
    const text = stepLine(event, maxSteps);
    if (live) {
      if (!barShown) bar.start(maxSteps, event.step, { text });
      barShown = true;
      bar.update(event.step, { text });
    } else if (event.step === 1 || event.step - lastPlain >= Math.max(1, Math.round(maxSteps / 40))) {
      lastPlain = event.step;
      console.log(text);
    }
  };
  return {
    start(start) {
      console.log(`adapter      ${start.adapter}
data         ${start.dataset}: ${describeData(start.data)}, vocabulary ${start.vocab_size}
model        ${start.model}, ${start.parameters.toLocaleString("en")} parameters${
        start.trainable_parameters < start.parameters
          ? `, ${start.trainable_parameters.toLocaleString("en")} of them trained`
          : ""
      }

${start.ledger}
`);
    },
    event(event) {
      if (event.type === "step") step(event);
      else if (event.type === "evaluation") {
        say(`step ${event.step}  validation loss ${event.eval_loss.toFixed(4)}${scores(event)}`);
      } else if (event.type === "sample") {
        say(`step ${event.step}  sample: ${(sampled = event.text).replaceAll("\n", " ")}`);
      } else if (event.type === "end") summary = event.summary;
      else if (event.type === "checkpoint") say(`step ${event.step}  checkpoint saved`);
      else if (event.type === "recovered") say(`the GPU was lost and opened again; going on after step ${event.step}`);
      else if (live) {
        Deno.stdout.writeSync(
          new TextEncoder().encode(
            event.done < event.total ? `\rcompiling kernels ${event.done}/${event.total}` : "\r\x1b[K",
          ),
        );
      }
    },
    note: (message) => say(`note: ${message}`),
    close: hide,
    end(path) {
      const { steps, train_loss, eval_loss, tokens_per_second } = summary!;
      // A run that is resumed at its end has trained nothing.
      const speed = Number.isNaN(tokens_per_second)
        ? ""
        : `, ${Math.round(tokens_per_second).toLocaleString("en")} tokens/s`;
      console.log(`
done         ${steps} steps${speed}
loss         ${Number.isNaN(train_loss) ? "" : `training ${train_loss.toFixed(4)}, `}validation ${
        eval_loss.toFixed(4)
      }${scores(summary!)}${sampled === "" ? "" : `\nsample       ${sampled.replaceAll("\n", "\n             ")}`}
loss curve   ${path}/loss.svg
run          ${path}`);
    },
  };
}

/** Describes the dataset: train_tokens: 1000 -> "1,000 train tokens". */
const describeData = (data: Start["data"]): string =>
  Object.entries(data).map((
    [key, value],
  ) => (typeof value === "number" ? `${value.toLocaleString("en")} ${key.replaceAll("_", " ")}` : value)).join(", ");

const scores = ({ accuracy, f1, matthews_correlation }: Evaluation): string =>
  accuracy === undefined
    ? ""
    : `, accuracy ${accuracy.toFixed(4)}, F1 ${f1!.toFixed(4)}, Matthews correlation ${
      matthews_correlation!.toFixed(4)
    }`;

function stepLine(
  { step, loss, grad_norm, learning_rate, tokens_per_second, eta_seconds, skipped }: StepEvent,
  maxSteps: number,
): string {
  const eta = `${Math.floor(eta_seconds / 60)}:${String(Math.floor(eta_seconds % 60)).padStart(2, "0")}`;
  return `step ${String(step).padStart(String(maxSteps).length)}/${maxSteps}  loss ${loss.toFixed(4)}  grad norm ${
    grad_norm.toFixed(3)
  }  lr ${learning_rate.toExponential(2)}  ${Math.round(tokens_per_second).toLocaleString("en")} tokens/s  ETA ${eta}${
    skipped ? "  update skipped" : ""
  }`;
}
