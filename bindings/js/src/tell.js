/** Call a handler of the program. What it throws is reported as uncaught; the link goes on, nothing else is lost. */
export function tell(handler, ...args) {
  try {
    handler?.(...args);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
