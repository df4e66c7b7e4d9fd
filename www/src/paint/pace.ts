/** How long a batch will take, judged by the steps so far. */

export class Pace {
  private gaps: number[] = [];
  private last = 0;
  private place = 0;
  private done = 0;
  private steps = 0;
  /** What a picture took beside its steps: reading the prompt, decoding. */
  private beside = 0;
  private began = 0;

  constructor(
    private readonly pictures: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  begin(place: number): void {
    const at = this.now();
    if (place > 0) this.beside = Math.max(0, at - this.began - this.steps * this.typical());
    this.place = place;
    this.began = at;
    this.done = 0;
    // The first step of a picture waits for its prompt to be read: it is no measure.
    this.last = 0;
  }

  step(step: number, steps: number): void {
    const at = this.now();
    if (this.last > 0 && step > this.done) this.gaps.push((at - this.last) / (step - this.done));
    this.last = at;
    this.done = step;
    this.steps = steps;
    if (this.gaps.length > 16) this.gaps.shift();
  }

  /** Undefined until there is enough to judge by. */
  secondsLeft(): number | undefined {
    if (this.gaps.length === 0) return undefined;
    const later = this.pictures - this.place - 1;
    const steps = this.steps - this.done + later * this.steps;
    return (steps * this.typical() + later * this.beside) / 1000;
  }

  /** The median: one step that waited for something else says nothing about the others. */
  private typical(): number {
    const sorted = [...this.gaps].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? 0;
  }
}
