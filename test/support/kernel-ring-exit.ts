/** A process that reads the rings in a worker that is terminated, then itself, stops, and has nothing more to do: it must end by itself. */
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { createKernelTester } from '#test/support/kernel-tester.ts';

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url));
  worker.once('message', async () => {
    await worker.terminate();
    console.log('worker gone');
    const tester = createKernelTester();
    const stop = new AbortController();
    tester.kernel.readEvents(() => {}, stop.signal);
    setTimeout(() => {
      stop.abort();
      tester.close();
      console.log('stopped');
    }, 20);
  });
} else {
  createKernelTester().kernel.readEvents(() => {}, new AbortController().signal);
  parentPort?.postMessage('reading');
}
