#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""apply_diff.py KUBECTL OURS THEIRS: the same writes, by kubectl, to two API servers without controllers (their kubeconfigs); what kubectl prints
and every object's managedFields must be equal. Ends with "N passed, N failed"."""
import json
import re
import subprocess
import sys

KUBECTL, OURS, THEIRS = sys.argv[1:4]
NAMESPACE = "apply-diff"


def run(kubeconfig, arguments, stdin=None):
    done = subprocess.run([KUBECTL, "--kubeconfig", kubeconfig, "-n", NAMESPACE, *arguments], input=stdin, capture_output=True, text=True, check=False)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", (done.stdout + done.stderr).strip())


def manifest(text):
    return (["apply", "--server-side", "-f", "-"], text)


DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: d, labels: {app: d, tier: x}}
spec:
  replicas: 3
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec:
      containers:
      - name: c
        image: x:1
        ports: [{containerPort: 80}, {containerPort: 443, name: tls}]
        env: [{name: A, value: "1"}, {name: B, value: "2"}]
        resources: {limits: {cpu: 100m}}
      volumes: [{name: v, emptyDir: {}}]
"""
SERVICE = """apiVersion: v1
kind: Service
metadata: {name: s, finalizers: [example.com/a]}
spec:
  selector: {app: d}
  ports: [{port: 80, targetPort: 80, name: http}, {port: 443, name: tls}]
"""
STEPS = [
    manifest(DEPLOYMENT),
    manifest(DEPLOYMENT),
    manifest(DEPLOYMENT.replace("replicas: 3", "replicas: 4").replace(', tier: x','')),
    (["scale", "deployment/d", "--replicas=7"], None),
    manifest(DEPLOYMENT),
    (["apply", "--server-side", "--field-manager=other", "-f", "-"],DEPLOYMENT.replace("x:1", "x:2")),
    (["apply", "--server-side", "--field-manager=other", "-f", "-"],DEPLOYMENT.replace('value: "1"','value: "9"')),
    (["apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-"],DEPLOYMENT.replace("x:1", "x:2")),
    manifest(DEPLOYMENT.replace("        env: [{name: A, value: \"1\"}, {name: B, value: \"2\"}]\n", "").replace("x:1", "x:2")),
    (["apply", "--server-side", "--field-manager=other", "-f", "-"],"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n"),
    (["set", "image", "deployment/d", "c=x:5"], None),
    (["label", "deployment/d", "z=1"], None),
    (["patch", "deployment/d", "--type=merge", "-p",'{"spec":{"template":{"spec":{"containers":[{"name":"c", "image":"y"},{"name":"e", "image":"z"}]}}}}'],None),
    (["patch", "deployment/d", "--subresource=status", "--type=merge", "-p",'{"status":{"observedGeneration":3,"conditions":[{"type":"Available", "status":"True", "lastUpdateTime":"2024-01-01T00:00:00Z", "lastTransitionTime":"2024-01-01T00:00:00Z"}]}}'],None),
    (["apply", "-f", "-"],SERVICE),
    manifest(SERVICE),
    manifest(SERVICE.replace("443", "444")),
    (["apply", "--server-side", "--field-manager=f2", "-f", "-"],"apiVersion: v1\nkind: Service\nmetadata: {name: s, finalizers: [example.com/b]}\nspec: {ports: [{port: 80, name: web}]}\n"),
    manifest("apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {a: b}, ports: [{port: 80, name: http, protocol: UDP}]}\n"),
    manifest("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: \"1\", b: \"2\"}\n"),
    manifest("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: \"1\"}\n"),
    (["apply", "--server-side", "--field-manager=o", "-f", "-"],"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: \"3\"}\n"),
    (["apply", "--server-side", "--field-manager=o", "-f", "-"],"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: \"1\"}\nspec: {x: 1}\n"),
    (["apply", "--server-side", "--validate=false", "--field-manager=o", "-f", "-"],"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: \"1\"}\nspec: {x: 1}\n"),
    (["apply", "--server-side", "--validate=false", "-f", "-"],"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: 1}\n"),
    (["create", "configmap", "cc", "--from-literal=x=y"], None),
    (["annotate", "configmap", "cc", "k=v"], None),
    manifest("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cc}\ndata: {x: z}\n"),
    (["create", "-f", "-"],"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {securityContext: {}, containers: [{name: a, image: b, args: [x], securityContext: {capabilities: {add: [NET_ADMIN]}}, volumeMounts: [{name: v, mountPath: /v}]}], volumes: [{name: v, configMap: {name: c}}], tolerations: [{key: a}]}\n"),
    (["patch", "pod", "p", "--subresource=status", "--type=strategic", "-p",'{"status":{"phase":"Running", "podIPs":[{"ip":"10.0.0.1"}],"podIP":"10.0.0.1", "conditions":[{"type":"Ready", "status":"True"}]}}'],None),
    (["create", "-f", "-"],"apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: h}\nspec: {maxReplicas: 3, scaleTargetRef: {kind: Deployment, name: d, apiVersion: apps/v1}, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]}\n"),
    manifest("apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {name: h}\nspec: {maxReplicas: 5, scaleTargetRef: {kind: Deployment, name: d, apiVersion: apps/v1}}\n"),
    (["apply", "--server-side", "--force-conflicts", "-f", "-"],"apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {name: h}\nspec: {maxReplicas: 5, scaleTargetRef: {kind: Deployment, name: d, apiVersion: apps/v1}}\n"),
    manifest("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i}\nspec: {rules: [{host: a, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}}]}\n"),
    manifest("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: sa}\nimagePullSecrets: [{name: q}]\nsecrets: [{name: x}]\n"),
    manifest("apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r}\nrules: [{apiGroups: [''], resources: [pods], verbs: [get]}]\n"),
]

KINDS = ["deployment/d", "service/s", "configmap/c", "configmap/cc", "pod/p", "hpa/h", "ingress/i", "serviceaccount/sa", "role/r"]


def managed(kubeconfig):
    """By object: its managedFields without times, in no order."""
    found = {}
    for name in KINDS:
        try:
            entries = json.loads(run(kubeconfig, ["get", name, "-o", "json", "--show-managed-fields"]))["metadata"].get("managedFields", [])
        except ValueError:
            continue
        found[name] = sorted(json.dumps({key: value for key, value in entry.items() if key != "time"}) for entry in entries)
    return found


def main():
    passed = failed = 0
    for kubeconfig in (OURS, THEIRS):
        run(kubeconfig, ["create", "namespace", NAMESPACE])
        run(kubeconfig, ["create", "serviceaccount", "default"])
    for number, (arguments, stdin) in enumerate(STEPS):
        ours, theirs = (run(kubeconfig, arguments, stdin) for kubeconfig in (OURS, THEIRS))
        problems = [] if ours == theirs else [f"ours:   {ours}\ntheirs: {theirs}"]
        our_fields, their_fields = managed(OURS), managed(THEIRS)
        for name in KINDS:
            only = set(our_fields.get(name, ["none"])), set(their_fields.get(name, ["none"]))
            problems += [f"{name}: only ours {entry}" for entry in only[0] - only[1]] + [f"{name}: only theirs {entry}" for entry in only[1] - only[0]]
        if problems:
            failed += 1
            print(f"FAIL {number} {' '.join(arguments)}\n" + "\n".join(problems))
        else:
            passed += 1
            print(f"ok   {number} {' '.join(arguments)}: {theirs.splitlines()[0]}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
