/** A window that has brought a fresh proof says so to the one that asked for it: no window holds on to another. */
const CHANNEL = "sluicegate-proof";

export function tellProof(): void {
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage("proved");
  channel.close();
}

/** Wait until another window has brought a fresh proof. */
export function proofElsewhere(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const channel = new BroadcastChannel(CHANNEL);
    channel.onmessage = () => {
      channel.close();
      done();
    };
    signal.addEventListener("abort", () => channel.close(), { once: true });
  });
}
