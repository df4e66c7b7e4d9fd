// What a person does on the chat page, for its tests.

/** The acts of a person on `page`; models' names are looked up on the site `models`. */
export function person(page, models) {
  const shown = (selector) => page.locator(selector).first().innerText();
  const ready = () => page.waitForSelector("#model-button[data-step=ready]");

  /** Names a model in the picker and waits for nothing. */
  async function choose(address) {
    await page.click("#model-button");
    await page.fill("#model-name", address.includes("/") ? address : `${models}/${address}`);
    await page.press("#model-name", "Enter");
  }

  async function openModel(address) {
    await choose(address);
    await page.click("#open-model");
    await ready();
  }

  /** Writes a number into the drawer, which is open. */
  async function set(name, value) {
    await page.fill(`#set-${name}`, String(value));
    await page.locator(`#set-${name}`).blur();
  }

  /** Does what has an answer written and waits until that is complete; gives its text. */
  async function answerTo(act) {
    const before = await page.$$eval(".turn", (turns) => turns.map((turn) => turn.dataset.turn));
    await act();
    await page.waitForFunction((before) => {
      const last = document.querySelector(".turn.assistant:last-child");
      return last && !before.includes(last.dataset.turn) && last.querySelector(".meta");
    }, before);
    return (await shown(".turn.assistant:last-child .answer")).trim();
  }

  /** Sends a message; gives the answer's text. */
  async function say(text) {
    await page.fill("#prompt", text);
    return answerTo(() => page.press("#prompt", "Enter"));
  }

  /** Text of the visible thread, turn by turn. */
  const thread = () =>
    page.$$eval(".turn", (turns) => turns.map((turn) => turn.querySelector(".turn-body").textContent.trim()));

  /** Drops files `[name, content]` as a file manager does; true if the frame showed while they hung over the page. */
  const drop = (...files) =>
    page.evaluate(
      (files) => {
        const transfer = new DataTransfer();
        for (const [name, base64] of files) {
          transfer.items.add(new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], name));
        }
        const send = (kind) =>
          dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
        send("dragenter");
        send("dragover");
        const framed = !document.getElementById("drop").hidden;
        send("drop");
        return framed && document.getElementById("drop").hidden;
      },
      files.map(([name, content]) => [name, Buffer.from(content).toString("base64")]),
    );

  return { answerTo, choose, drop, openModel, ready, say, set, shown, thread };
}

/** What a screen reader needs and does not find: things without a name, ids that are used twice or lead nowhere. */
export const unreadable = (page) =>
  page.evaluate(() => {
    const operated = "button, input:not([hidden]), select, textarea, a[href], dialog, nav, aside, [role=progressbar]";
    const byId = (id) => document.getElementById(id)?.textContent.trim();
    const name = (element) =>
      element.getAttribute("aria-label") ||
      element.getAttribute("title") ||
      element.textContent.trim() ||
      [...(element.labels ?? [])].map((label) => label.textContent.trim()).join("") ||
      byId(element.getAttribute("aria-labelledby"));
    const nameless = [...document.querySelectorAll(operated)].filter((element) => !name(element));
    const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
    const twice = ids.filter((id, i) => ids.indexOf(id) !== i);
    const references = ["aria-describedby", "aria-controls", "aria-labelledby", "for"];
    const dangling = references
      .flatMap((at) => [...document.querySelectorAll(`[${at}]`)].map((element) => element.getAttribute(at)))
      .filter((id) => !document.getElementById(id));
    return [...nameless.map((element) => element.outerHTML.slice(0, 120)), ...twice, ...dangling];
  });
