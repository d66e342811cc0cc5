import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

const HEIGHT = 260;
const SERIES = [["training", "--curve-faint", 1], ["running mean", "--curve", 2], [
  "validation",
  "--validation",
  2,
]] as const;

/** The chart of the loss: every step, its running mean, and the validations. */
export class LossChart {
  readonly #host: HTMLElement;
  #plot: uPlot | undefined;
  #maxSteps = 1;
  #steps: number[] = [];
  #training: (number | null)[] = [];
  #mean: (number | null)[] = [];
  #validation: (number | null)[] = [];

  constructor(host: HTMLElement) {
    this.#host = host;
    new ResizeObserver(() => this.#plot?.setSize({ width: host.clientWidth, height: HEIGHT })).observe(host);
    // A canvas does not follow the colours of the page by itself.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#plot && this.#rebuild());
  }

  /** Empties the chart for a run of so many steps. */
  begin(maxSteps: number): void {
    this.#maxSteps = maxSteps;
    [this.#steps, this.#training, this.#mean, this.#validation] = [[], [], [], []];
    this.#host.hidden = false;
    this.#rebuild();
  }

  /** Adds a step. Steps count from 1 and come in order; those of a run that goes on begin later. */
  addStep(step: number, loss: number): void {
    const last = this.#mean.at(-1) ?? loss;
    const share = Math.min(1, 50 / this.#maxSteps);
    this.#steps.push(step);
    this.#training.push(Number.isFinite(loss) ? loss : null);
    this.#mean.push(Number.isFinite(loss) ? last + share * (loss - last) : last);
    this.#validation.push(null);
  }

  addValidation(step: number, loss: number): void {
    const index = step - (this.#steps[0] ?? Infinity);
    if (index >= 0) this.#validation[index] = loss;
  }

  draw(): void {
    this.#plot?.setData(this.#data());
  }

  #data(): uPlot.AlignedData {
    return [this.#steps, this.#training, this.#mean, this.#validation];
  }

  #rebuild(): void {
    this.#plot?.destroy();
    const colour = (name: string): string => getComputedStyle(this.#host).getPropertyValue(name).trim();
    const axis = {
      stroke: colour("--muted"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
      font: "12px system-ui, sans-serif",
    };
    const value = (_: uPlot, number: number | null): string => number?.toFixed(4) ?? "–";
    this.#plot = new uPlot(
      {
        width: this.#host.clientWidth,
        height: HEIGHT,
        scales: { x: { time: false, range: [0, this.#maxSteps] } },
        cursor: { drag: { x: false, y: false } },
        axes: [axis, { ...axis, size: 48 }],
        series: [
          { label: "step" },
          ...SERIES.map(([label, name, width]) => ({
            label,
            stroke: colour(name),
            width,
            value,
            spanGaps: true,
            points: { show: label === "validation", size: 6, fill: colour(name) },
          })),
        ],
      },
      this.#data(),
      this.#host,
    );
  }
}
