"""Runs LocalStack's functions as plain Node processes, at its own extension point localstack.lambda.runtime_executor, so no Docker is needed.

For tests only: it isolates nothing. One child for each environment, as Lambda has it, so that a warm start is a warm start; a child that is over its
time is replaced. What the child gets and answers: function-child.cjs.
"""
import json
import os
import select
import subprocess
import time
from pathlib import Path

from localstack import config
from localstack.services.lambda_.invocation.lambda_models import InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

NODE = os.environ["HONEYMESH_LAMBDA_NODE"]
# LocalStack asks nobody for rights, and what it hands out means nothing to the other emulator that functions talk to.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
CHILD = str(Path(__file__).with_name("function-child.cjs"))


class SubprocessExecutor(RuntimeExecutor):
    def __init__(self, id, function_version):
        super().__init__(id, function_version)
        self.child, self.answers, self.unread, self.environment = None, -1, b"", {}
        self.log = Path(config.dirs.tmp, f"lambda-{function_version.id.function_name}-{id}.log")

    def start(self, env_vars):
        code = self.function_version.config.code.get_unzipped_code_location()
        mark = {key: os.environ[key] for key in ("PATH", "HOME", "HONEYMESH_EMULATOR") if key in os.environ}
        given = {key: str(value) for key, value in env_vars.items() if key != "AWS_SESSION_TOKEN"}
        self.environment = {**mark, **given, **CREDENTIALS, "LAMBDA_TASK_ROOT": str(code)}
        self._spawn()

    def _spawn(self):
        self.log.parent.mkdir(parents=True, exist_ok=True)
        reading, writing = os.pipe()
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                [NODE, "--no-warnings", CHILD, str(writing)],
                stdin=subprocess.PIPE, stdout=log, stderr=log, pass_fds=(writing,),
                env=self.environment, cwd=self.environment["LAMBDA_TASK_ROOT"],
            )
        os.close(writing)
        self.answers, self.unread = reading, b""

    def stop(self):
        if self.child is None:
            return
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        os.close(self.answers)
        self.child = None

    def invoke(self, payload):
        seconds = int(self.function_version.config.timeout)
        deadline = time.time() + seconds
        logged = self.log.stat().st_size
        invocation = json.dumps({**payload, "deadlineMs": int(deadline * 1000)}).encode() + b"\n"
        try:
            self.child.stdin.write(invocation)
            self.child.stdin.flush()
            line = self._line_before(deadline)
        except OSError:
            line = b""
        if line:
            answer = json.loads(line)
            with open(self.log, "rb") as log:
                log.seek(logged)
                said = log.read().decode("utf8", "replace")
            return InvocationResult(payload["invoke-id"], answer["body"].encode(), is_error=answer["error"], logs=said)
        if line is None:
            failure = {"errorType": "Sandbox.Timedout", "errorMessage": f"Error: Task timed out after {seconds:.2f} seconds"}
        else:
            failure = {"errorType": "Runtime.ExitError", "errorMessage": "Error: Runtime exited without providing a reason"}
        self.stop()
        self._spawn()
        return InvocationResult(payload["invoke-id"], json.dumps(failure).encode(), is_error=True, logs=failure["errorMessage"])

    def _line_before(self, deadline):
        """The child's answer; None: it is late; empty: it is gone."""
        while b"\n" not in self.unread:
            left = deadline - time.time()
            if left <= 0 or not select.select([self.answers], [], [], left)[0]:
                return None
            read = os.read(self.answers, 65536)
            if not read:
                return b""
            self.unread += read
        line, self.unread = self.unread.split(b"\n", 1)
        return line

    def get_address(self):
        return "127.0.0.1"

    def get_endpoint_from_executor(self):
        return "127.0.0.1"

    def get_runtime_endpoint(self):
        return f"http://127.0.0.1:{config.GATEWAY_LISTEN[0].port}/unused"

    def get_logs(self):
        return self.log.read_text("utf8", "replace") if self.log.exists() else ""

    @classmethod
    def prepare_version(cls, function_version):
        if function_version.config.code:
            function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version):
        """The code is removed with LocalStack's folder."""

    @classmethod
    def validate_environment(cls):
        return True


class SubprocessExecutorPlugin(RuntimeExecutorPlugin):
    name = "subprocess"

    def load(self, *args, **kwargs):
        return SubprocessExecutor
