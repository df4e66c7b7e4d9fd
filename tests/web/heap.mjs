// How much JavaScript memory a worker holds. A page's own is `performance.memory`; of a worker only the debugger tells.

/**
 * A function that measures the worker of `page`, which runs already: bytes of its JavaScript heap, array buffers
 * included. Garbage is collected first; since array buffers are swept in the background, one look may still count some
 * of it, and only what is there on several looks is held. Not counted is what the browser reads ahead of a download.
 */
export async function workerHeap(page) {
  const session = await page.context().newCDPSession(page);
  const waiting = new Map();
  let next = 1;
  session.on("Target.receivedMessageFromTarget", ({ message }) => {
    const { id, result, error } = JSON.parse(message);
    const { resolve, reject } = waiting.get(id) ?? {};
    waiting.delete(id);
    if (error) reject?.(new Error(error.message));
    else resolve?.(result);
  });
  const attached = new Promise((resolve) =>
    session.on("Target.attachedToTarget", ({ sessionId, targetInfo }) => {
      if (targetInfo.type === "worker") resolve(sessionId);
    }),
  );
  await session.send("Target.setAutoAttach", { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  const sessionId = await attached;
  const ask = (method) =>
    new Promise((resolve, reject) => {
      const id = next++;
      waiting.set(id, { resolve, reject });
      const message = JSON.stringify({ id, method, params: {} });
      session.send("Target.sendMessageToTarget", { sessionId, message }).catch(reject);
    });
  return async () => {
    // At once, so that nothing comes between them.
    const [, { usedSize, backingStorageSize }] = await Promise.all([
      ask("HeapProfiler.collectGarbage"),
      ask("Runtime.getHeapUsage"),
    ]);
    return usedSize + backingStorageSize;
  };
}
