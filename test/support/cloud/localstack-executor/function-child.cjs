// A function's environment: honeymesh_executor.py starts it, writes one line of JSON for each invocation to stdin and reads one for each answer from the
// descriptor that it names. stdout and stderr are the function's log.
const { existsSync, writeSync } = require('node:fs');
const { join } = require('node:path');
const { createInterface } = require('node:readline');

const answers = Number(process.argv[2]);
const [file, name] = process.env._HANDLER.split('.');

async function load() {
  for (const ending of ['.js', '.mjs', '.cjs']) {
    const path = join(process.env.LAMBDA_TASK_ROOT, file + ending);
    if (existsSync(path)) return (ending === '.mjs' ? await import(path) : require(path))[name];
  }
  throw new Error(`${file} is not in the function's code`);
}

const loading = load();
loading.catch(() => {}); // said at the first invocation, as Lambda does

createInterface({ input: process.stdin }).on('line', async line => {
  const invocation = JSON.parse(line);
  const context = {
    awsRequestId: invocation['invoke-id'],
    invokedFunctionArn: invocation['invoked-function-arn'],
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    getRemainingTimeInMillis: () => invocation.deadlineMs - Date.now(),
  };
  let answer;
  try {
    const handler = await loading;
    answer = { body: JSON.stringify((await handler(JSON.parse(invocation.payload || '{}'), context)) ?? null), error: false };
  } catch (error) {
    console.error(error);
    const thrown = { errorType: error?.name ?? 'Error', errorMessage: String(error?.message ?? error), trace: String(error?.stack ?? '').split('\n') };
    answer = { body: JSON.stringify(thrown), error: true };
  }
  writeSync(answers, `${JSON.stringify(answer)}\n`);
});
