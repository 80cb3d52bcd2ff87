#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kubectl_test.py KNARR: what people type, against a fresh `knarr up`, with every kubectl that is found.
kubectl_test.py --kubeconfig FILE: the same against a running cluster whose node has the image knarr/demo:1.0; so expectations are held
against upstream.

kubectl is looked for in $KNARR_KIT/bin, then as kubectl and kubectl-1.NN (or kubectl.1.NN) in PATH. Without any, the API is still tried over
HTTPS and the rest is said to be skipped. Each check prints a line; the last line counts them.
"""
import base64
import http.client
import json
import os
import pathlib
import pty
import re
import select
import shutil
import ssl
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent / "manifests"
TIMEOUT = 60


class Checks:
    passed = failed = 0

    def expect(self, name, output, pattern):
        """PATTERN is a regular expression for all of the output, where a run of blanks stands for one or more blanks."""
        pattern = re.sub(r" +", " +", pattern.strip("\n"))
        self.that(name, re.fullmatch(pattern, output.strip("\n"), re.DOTALL), f"wanted /{pattern}/, got:\n{output}")

    def that(self, name, condition, otherwise=""):
        if condition:
            self.passed += 1
            print(f"ok   {name}", flush=True)
        else:
            self.failed += 1
            print(f"FAIL {name}: {otherwise}", flush=True)


class Kubectl:
    def __init__(self, program, kubeconfig, namespace):
        self.command = [program, "--kubeconfig", kubeconfig]
        self.namespace = namespace
        self.env = {**os.environ, "KUBECONFIG": kubeconfig, "KUBE_EDITOR": "", "KUBECACHEDIR": tempfile.mkdtemp()}

    def line(self, arguments):
        arguments = arguments if isinstance(arguments, list) else arguments.split()
        scope = [] if "-A" in arguments or "-n" in arguments else ["-n", self.namespace]
        return self.command + scope + arguments

    def __call__(self, arguments, stdin="", env=None):
        """Output and errors of a command; a failure is part of the output."""
        try:
            done = subprocess.run(self.line(arguments), input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  timeout=TIMEOUT, env={**self.env, **(env or {})}, check=False)
        except subprocess.TimeoutExpired as late:
            return f"(no end after {TIMEOUT} s) {late.output}"
        return done.stdout + (f"(exit status {done.returncode})" if done.returncode else "")

    def start(self, arguments, **streams):
        return subprocess.Popen(self.line(arguments), env=self.env, **streams)


def read_until(descriptor, wanted, seconds=20):
    """What a terminal or pipe says until it has said WANTED, or the time is over."""
    text, end = "", time.monotonic() + seconds
    while wanted not in text and time.monotonic() < end:
        if select.select([descriptor], [], [], 0.2)[0]:
            try:
                data = os.read(descriptor, 4096)
            except OSError:
                break
            if not data:
                break
            text += data.decode(errors="replace")
    return text


def create_and_get(k, check):
    check.expect("create -f A -f B", k(f"create -f {HERE}/controller.yaml -f {HERE}/service.yaml"),
                 "replicationcontroller/web created\nservice/web created")
    check.expect("create -f DIR", k(f"create -f {HERE}/all"), "configmap/page created\npod/two created")
    check.expect("create again", k(f"create -f {HERE}/all/config.yaml"),
                 r'Error from server \(AlreadyExists\): error when creating ".*config.yaml": configmaps "page" already exists\n\(exit status 1\)')
    check.expect("apply -f, new", k(f"apply -f {HERE}/deployment.yaml"), "deployment.apps/site created")
    check.expect("apply -f, same", k(f"apply -f {HERE}/deployment.yaml"), "deployment.apps/site unchanged")
    changed = (HERE / "deployment.yaml").read_text().replace("replicas: 1", "replicas: 2")
    check.expect("apply -f, changed", k("apply -f -", stdin=changed), "deployment.apps/site configured")
    check.expect("rollout status", k("rollout status deployment/site --timeout=50s").splitlines()[-1], 'deployment "site" successfully rolled out')
    check.expect("wait --for", k("wait --for=condition=Ready pod/two --timeout=50s"), "pod/two condition met")
    check.expect("wait --for, selector", k("wait --for=condition=Ready pod -l name=web --timeout=50s"),
                 "pod/web-[a-z0-9]{5} condition met\npod/web-[a-z0-9]{5} condition met")
    check.expect("get pods", k("get pods"),
                 r"NAME READY STATUS RESTARTS AGE\nsite(-[a-z0-9]+){2} 1/1 Running 0 \d+s\nsite(-[a-z0-9]+){2} 1/1 Running 0 \d+s\n"
                 r"two 2/2 Running 0 \d+s\nweb-[a-z0-9]{5} 1/1 Running 0 \d+s\nweb-[a-z0-9]{5} 1/1 Running 0 \d+s")
    check.expect("get rc,service", k("get rc,service"),
                 r"NAME DESIRED CURRENT READY AGE\nreplicationcontroller/web 2 2 2 \d+s\n\n"
                 r"NAME TYPE CLUSTER-IP EXTERNAL-IP PORT\(S\) AGE\nservice/web ClusterIP 10\.\d+\.\d+\.\d+ <none> 80/TCP \d+s")
    wide = k("get all -A -o wide")
    check.that("get all -A -o wide", all(re.search(re.sub(r" +", " +", line), wide) for line in (
        r"NAMESPACE NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES\s",
        rf"\n{k.namespace} pod/two 2/2 Running 0 \d+s \d+\.\d+\.\d+\.\d+ \S+ <none> <none>\s",
        r"\n\nNAMESPACE NAME DESIRED CURRENT READY AGE CONTAINERS IMAGES SELECTOR\s",
        rf"\n{k.namespace} replicationcontroller/web 2 2 2 \d+s web knarr/demo:1\.0 name=web\s",
        r"\ndefault service/kubernetes ClusterIP \S+ <none> 443/TCP \S+ <none>\n",
        r"\n\nNAMESPACE NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR\s",
        rf"\n{k.namespace} deployment.apps/site 2/2 2 2 \d+s server knarr/demo:1\.0 app=site\s",
        rf"\n{k.namespace} replicaset.apps/site-[a-z0-9]+ 2 2 2 \d+s server knarr/demo:1\.0 app=site,pod-template-hash=[a-z0-9]+")), wide)
    check.expect("get -o yaml", k("get configmap page -o yaml"),
                 r"apiVersion: v1\ndata:\n greeting: hello\nkind: ConfigMap\nmetadata:\n creationTimestamp: "
                 rf'"[-0-9]+T[:0-9]+Z"\n name: page\n namespace: {k.namespace}\n resourceVersion: "\d+"\n uid: [-0-9a-f]{{36}}')
    pod = json.loads(k("get pod two -o json"))
    check.that("get -o json", pod["kind"] == "Pod" and pod["status"]["qosClass"] == "BestEffort" and len(pod["status"]["containerStatuses"]) == 2, pod)
    check.expect("get -o jsonpath", k(["get", "pod", "two", "-o", "jsonpath={.spec.containers[*].name} {.status.phase}"]), "server counter Running")
    check.expect("get, absent", k("get pod nobody"), r'Error from server \(NotFound\): pods "nobody" not found\n\(exit status 1\)')


NODE = ("Name:", "Roles:", "Labels:", "Annotations:", "CreationTimestamp:", "Taints:", "Unschedulable:", "Lease:", "Conditions:", "Addresses:",
        "Capacity:", "Allocatable:", "System Info:", "PodCIDR:", "Non-terminated Pods:", "Allocated resources:", "Events:")
POD = ("Name:", "Namespace:", "Priority:", "Service Account:", "Node:", "Start Time:", "Labels:", "Annotations:", "Status:", "IP:", "IPs:",
       "Containers:", "Conditions:", "Volumes:", "QoS Class:", "Node-Selectors:", "Tolerations:", "Events:")


def describe(k, check):
    for what, headings in (("nodes", NODE), ("pods/two", POD)):
        text = k(f"describe {what}")
        found = [line.split(":")[0] + ":" for line in text.splitlines() if re.match(r"[A-Z][A-Za-z -]+:", line)]
        check.that(f"describe {what}: headings", [h for h in found if h in headings] == list(headings), f"{found}\n{text}")
        if what == "nodes":
            check.that("describe nodes: conditions", re.search(r"\n +Ready +True .* KubeletReady +kubelet is posting ready status", text), text)
            check.that("describe nodes: pods", re.search(rf"\n +{k.namespace} +two +0 \(0%\) +0 \(0%\) +0 \(0%\) +0 \(0%\) +\d+s", text), text)
        else:
            check.that("describe pods: environment", re.search(
                r"GREETING: +<set to the key 'greeting' of config map 'page'> +Optional: false", text), text)
            check.that("describe pods: events", all(re.search(rf"\n +Normal +{reason} +\S+ .* +{source} ", text) for reason, source in (
                ("Scheduled", "default-scheduler"), ("Pulled", "kubelet"), ("Created", "kubelet"), ("Started", "kubelet"))), text)


def streams(k, check):
    check.expect("logs", k("logs two -c counter --tail=-1")[:24], r"count 1\ncount 2\ncount 3")
    check.expect("logs, which container", k("logs two")[:70], r"Defaulted container \"server\" out of: server, counter.*")
    k("run waits --image=knarr/none:1.0 --image-pull-policy=Never")
    k("wait --for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=ErrImageNeverPull pod/waits --timeout=20s")
    check.expect("logs, nothing yet", k("logs waits"), r"Error from server \(BadRequest\): container \"waits\" in pod \"waits\" is waiting to start: "
                 r"ErrImageNeverPull\n\(exit status 1\)")
    k("delete pod waits --grace-period=0 --force")
    follow = k.start("logs -f -c counter two --tail=1", stdout=subprocess.PIPE)
    first = read_until(follow.stdout.fileno(), "\n")
    number = int(re.sub(r"\D", "", first.splitlines()[0]) or 0) if first else 0
    text = first + read_until(follow.stdout.fileno(), f"count {number + 5}\n")
    follow.terminate()
    follow.wait()
    check.that("logs -f -c", number and all(f"count {number + n}\n" in text for n in range(5)), text)
    check.expect("exec POD -- CMD", k("exec two -- echo test"), r"(Defaulted container .*\n)?test")
    check.expect("exec, exit status", k(["exec", "two", "-c", "counter", "--", "sh", "-c", "exit 3"]),
                 r"command terminated with exit code 3\n\(exit status 3\)")
    check.expect("exec -i", k("exec -i two -c counter -- tr a-z A-Z", stdin="standard input\n"), "STANDARD INPUT")
    check.expect("exec, environment", k(["exec", "two", "-c", "counter", "--", "sh", "-c", "echo $GREETING"]), "hello")
    shell(k, check)
    forward(k, check)


def shell(k, check):
    """A shell on a terminal: it echoes, it sees a terminal, and its exit is kubectl's."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(k.command[0], k.line("exec -ti two -c server -- /bin/sh"), k.env)
    prompt = read_until(terminal, "# ")
    os.write(terminal, b"tty; echo sum $((40 + 2))\n")
    answer = read_until(terminal, "sum 42")
    os.write(terminal, b"exit 5\n")
    rest = read_until(terminal, "exit code 5")
    # Closed before kubectl has ended, the terminal would hang up on it.
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    check.that("exec -ti: prompt", "# " in prompt, repr(prompt))
    check.that("exec -ti: terminal", "/dev/pts/" in answer and "sum 42" in answer, repr(answer))
    check.that("exec -ti: exit status", os.waitstatus_to_exitcode(status) == 5, f"{status} {rest!r}")


def forward(k, check):
    process = k.start("port-forward pod/two :8080", stdout=subprocess.PIPE)
    said = read_until(process.stdout.fileno(), "-> 8080")
    match = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> 8080", said)
    body = ""
    if match:
        for _ in range(3):
            connection = http.client.HTTPConnection("127.0.0.1", int(match[1]), timeout=10)
            try:
                connection.request("GET", "/")
                body += connection.getresponse().read().decode()
            except OSError as error:
                body += str(error)
            connection.close()
    process.terminate()
    process.wait()
    check.that("port-forward", body.count("knarr sails") == 3, f"{said!r} {body!r}")


def change(k, check):
    check.expect("create cm --from-env-file", k(f"create cm my-cf --from-env-file={HERE}/env-vars.env"), "configmap/my-cf created")
    check.expect("its data", k("get cm my-cf -o jsonpath={.data.COLOR},{.data.SIZE}"), "blue,10 feet")
    with tempfile.NamedTemporaryFile("w", suffix=".sh", delete=False) as editor:
        editor.write("#!/bin/sh\nsed -i 's/COLOR: blue/COLOR: red/' \"$1\"\n")
    os.chmod(editor.name, 0o755)
    check.expect("edit", k("edit cm my-cf", env={"KUBE_EDITOR": editor.name}), "configmap/my-cf edited")
    os.unlink(editor.name)
    check.expect("edited", k("get cm my-cf -o jsonpath={.data.COLOR}"), "red")
    check.expect("edit, no change", k("edit cm my-cf", env={"KUBE_EDITOR": "true"}), "Edit cancelled, no changes made.")
    check.expect("label", k("label pod two tier=front"), "pod/two labeled")
    check.expect("label, taken", k("label pod two tier=back"),
                 r"error: 'tier' already has a value \(front\), and --overwrite is false\n\(exit status 1\)")
    check.expect("get -l -L", k("get pods -l tier=front -L tier"), r"NAME READY STATUS RESTARTS AGE TIER\ntwo 2/2 Running 0 \d+s front")
    check.expect("annotate", k("annotate cm my-cf note=x"), "configmap/my-cf annotated")
    check.expect("scale rc", k("scale rc web --replicas=1"), "replicationcontroller/web scaled")
    check.expect("scaled", k("wait --for=jsonpath={.status.replicas}=1 rc/web --timeout=30s"), "replicationcontroller/web condition met")
    check.expect("scale deployment", k("scale deployment/site --replicas=3"), "deployment.apps/site scaled")
    check.that("rolled out", k("rollout status deployment/site --timeout=50s").endswith("successfully rolled out\n"))


def discover(k, check):
    text = k("explain pod.spec")
    check.that("explain pod.spec", re.match(r"KIND: +Pod\nVERSION: +v1\n\nFIELD: spec <PodSpec>\n\nDESCRIPTION:\n", text)
               and re.search(r"\n  containers\s<\[\]Container> -required-\n", text) and "\n  nodeName\t<string>\n" in text, text[:600])
    text = k("api-resources")
    check.that("api-resources", re.match(r"NAME +SHORTNAMES +APIVERSION +NAMESPACED +KIND\n", text) and all(
        re.search(rf"(?m)^{line}$".replace(" ", " +"), text) for line in (
            "pods po v1 true Pod", "nodes no v1 false Node", "deployments deploy apps/v1 true Deployment",
            "cronjobs cj batch/v1 true CronJob", "customresourcedefinitions crd,crds apiextensions.k8s.io/v1 false CustomResourceDefinition")), text)
    check.that("version", "Server Version: v1.28." in k("version"), k("version"))
    check.expect("auth can-i", k("auth can-i create pods"), "yes")


def delete(k, check):
    check.expect("delete -f", k(f"delete -f {HERE}/deployment.yaml"), r'deployment.apps "site" deleted( from \S+ namespace)?')
    check.expect("delete A,B -l", k("delete pods,services -l name=web"),
                 r'pod "web-[a-z0-9]{5}" deleted.*\nservice "web" deleted.*')
    check.that("the controller replaces it", k("wait --for=condition=Ready pod -l name=web --timeout=50s").endswith("condition met\n"))
    check.that("delete rc", k("delete rc web").startswith('replicationcontroller "web" deleted'))
    check.expect("delete pods --all", k("delete pods --all"), r'.*pod "two" deleted.*')
    gone = ""
    for _ in range(100):
        gone = k("get pods")
        if gone.startswith("No resources"):
            break
        time.sleep(0.2)
    check.expect("nothing is left", gone, f"No resources found in {k.namespace} namespace.")


def run(program, kubeconfig, check):
    version = json.loads(subprocess.run([program, "version", "--client", "-o", "json"], capture_output=True, text=True, check=True).stdout)
    version = version["clientVersion"]["gitVersion"]
    print(f"---- kubectl {version}", flush=True)
    k = Kubectl(program, kubeconfig, "shop-" + re.sub(r"[^0-9]+", "-", version).strip("-"))
    check.expect("create namespace", k(f"create namespace {k.namespace}"), f"namespace/{k.namespace} created")
    for part in (create_and_get, describe, streams, change, discover, delete):
        try:
            part(k, check)
        except Exception as error:  # pylint: disable=broad-except
            check.that(part.__name__, False, repr(error))
    text = k(f"delete namespace {k.namespace}")
    check.that("delete namespace", f'namespace "{k.namespace}" deleted' in text, text)


STEPS = "received stored queued tried bind bound seen cgroup sandbox image create start ready".split()


def traced(knarr, kubeconfig, name, check):
    """`knarr trace` of a pod that has just become ready in a `knarr up`: each step, from who took it, and time that adds up."""
    command = [knarr, "trace", name, "--kubeconfig", kubeconfig]
    done = subprocess.run(command + ["-o", "json"], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    trace = json.loads(done.stdout or "{}")
    steps = {step["step"]: step for step in trace.get("steps", [])}
    check.that("trace: every step", not set(STEPS) - set(steps) and trace.get("notes") == [], done.stdout + done.stderr)
    check.that("trace: nothing is made up", not [step for step in steps.values() if "coarse" in step], done.stdout)
    causes = [("received", "stored"), ("stored", "queued"), ("queued", "tried"), ("tried", "bind"), ("bind", "bound"), ("bind", "seen"), ("seen", "sandbox"),
              ("sandbox", "create"), ("create", "start"), ("start", "ready")]
    order = [pair for pair in causes if pair[0] not in steps or pair[1] not in steps or steps[pair[0]]["start"] > steps[pair[1]]["start"]]
    check.that("trace: causes come first", not order, f"{order}\n{done.stdout}")
    check.that("trace: shares add up", abs(sum(share["millis"] for share in trace.get("shares", [])) - trace.get("readyMillis", -1)) < 0.01, done.stdout)
    text = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False).stdout
    check.that("trace: as text", re.search(rf"^pod default/{name}, uid \S+, on node \S+\nreceived at \S+, ready [\d.]+ ms later\n", text), text)
    check.that("trace: absent", subprocess.run([knarr, "trace", "nobody", "--kubeconfig", kubeconfig], capture_output=True, check=False).returncode == 1)


def api_alone(knarr, kubeconfig, check):
    """Without kubectl: a pod is made, runs and goes over plain HTTPS. KNARR: the program whose `up` this is, or None."""
    text = pathlib.Path(kubeconfig).read_text()
    folder = tempfile.mkdtemp()
    files = {}
    for key in ("certificate-authority", "client-certificate", "client-key"):
        data = re.search(rf"{key}-data: *\"?([A-Za-z0-9+/=]+)", text)
        files[key] = re.search(rf"{key}: *\"?([^\s\",}}]+)", text)[1] if not data else f"{folder}/{key}"
        if data:
            pathlib.Path(files[key]).write_bytes(base64.b64decode(data[1]))
    context = ssl.create_default_context(cafile=files["certificate-authority"])
    context.load_cert_chain(files["client-certificate"], files["client-key"])
    host, port = re.search(r"https://([^:/\s\"]+):(\d+)", text).groups()

    def call(method, path, body=None):
        connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=30)
        connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    pods = "/api/v1/namespaces/default/pods"
    container = {"name": "c", "image": "knarr/demo:1.0"}
    for _ in range(300):
        if call("GET", "/api/v1/namespaces/default/serviceaccounts/default")[0] == 200:
            break
        time.sleep(0.1)
    status, pod = call("POST", pods, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "plain"},
                                      "spec": {"containers": [container], "terminationGracePeriodSeconds": 1}})
    check.that("POST pod", status == 201, pod)
    for wanted in (200, 404):
        for _ in range(300):
            status, pod = call("GET", f"{pods}/plain")
            if status == wanted and (wanted == 404 or pod["status"].get("phase") == "Running"):
                break
            time.sleep(0.1)
        check.that("pod runs" if wanted == 200 else "pod is gone", status == wanted, pod)
        if wanted == 200:
            if knarr:
                traced(knarr, kubeconfig, "plain", check)
            check.that("DELETE pod", call("DELETE", f"{pods}/plain")[0] == 200)


def programs():
    found = [os.path.join(os.environ.get("KNARR_KIT", "/var/cache/knarr-kit/v1.28.4"), "bin", "kubectl"), shutil.which("kubectl")]
    for minor in range(27, 33):
        found += [shutil.which(f"kubectl{dash}1.{minor}") for dash in "-."]
    return [program for program in found if program and os.access(program, os.X_OK)]


def boot(knarr, data, cgroup_root):
    log = open(f"{data}.log", "w+", encoding="utf-8")
    flags = ["--data-dir", data] + (["--cgroup-root", cgroup_root] if cgroup_root else [])
    cluster = subprocess.Popen([knarr, "up", *flags], stdout=log, stderr=subprocess.STDOUT)
    for _ in range(600):
        if re.search(r"(?m)^ready in", pathlib.Path(log.name).read_text()):
            return cluster
        if cluster.poll() is not None:
            break
        time.sleep(0.1)
    print(pathlib.Path(log.name).read_text())
    sys.exit("FAIL knarr up did not come up")


def main(arguments):
    check, cluster = Checks(), None
    if arguments[0] == "--kubeconfig":
        kubeconfig = arguments[1]
    else:
        sandbox = os.environ.get("SANDBOX") or tempfile.mkdtemp()
        data = f"{sandbox}/data"
        cluster = boot(arguments[0], data, os.environ.get("SANDBOX_CGROUP"))
        kubeconfig = f"{data}/kubeconfig"
    api_alone(arguments[0] if cluster else None, kubeconfig, check)
    kubectls = programs()
    for program in kubectls:
        run(program, kubeconfig, check)
    if not kubectls:
        print("skipped: no kubectl in PATH or $KNARR_KIT/bin (tests/conformance/build.sh makes one)")
    if cluster:
        check.that("knarr still runs", cluster.poll() is None)
        cluster.terminate()
        try:
            check.that("knarr ends in order", cluster.wait(timeout=30) == 0, cluster.returncode)
        except subprocess.TimeoutExpired:
            check.that("knarr ends in order", False, "it did not end")
        if check.failed:
            print("---- the end of knarr's log\n" + "\n".join(pathlib.Path(f"{data}.log").read_text().splitlines()[-40:]))
    print(f"{check.passed} passed, {check.failed} failed")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) if len(sys.argv) > 1 else __doc__)
