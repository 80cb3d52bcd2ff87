#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""etcd_objects.py FOLDER FILES PREFIX ROUNDS TOTAL: manifests of objects of every kind that a cluster without nodes takes, spread over that many
files: each namespaced kind ROUNDS times, each other kind 8 times at most, ConfigMaps up to the total. All names begin with PREFIX."""
import json
import pathlib
import sys

NAMESPACES = [f"team-{n}" for n in range(8)]


def make(kind, api, name, body=None, namespace=None, meta=None):
    metadata = {"name": name, "labels": {"made-by": "interchange", "kind": kind.lower()}} | (meta or {})
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api, "kind": kind, "metadata": metadata} | (body or {})


def template(labels):
    container = {"name": "main", "image": "registry.k8s.io/pause:3.9", "ports": [{"containerPort": 8080, "name": "http"}],
                 "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "1500m", "memory": "1Gi"}},
                 "env": [{"name": "A", "value": "b"}, {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
                 "livenessProbe": {"httpGet": {"path": "/", "port": "http"}}}
    return {"metadata": {"labels": labels}, "spec": {"containers": [container], "automountServiceAccountToken": False}}


def namespaced(prefix, i, ns):
    """One of each kind; ConfigMaps fill up the rest."""
    name, labels = f"{prefix}-{i}", {"app": f"{prefix}-{i}"}
    selector = {"selector": {"matchLabels": labels}, "template": template(labels)}
    yield make("Secret", "v1", name, {"type": "Opaque", "data": {"key": "AAECA/8="}}, ns)
    yield make("ServiceAccount", "v1", name, None, ns)
    kind = ["ClusterIP", "NodePort", "LoadBalancer"][i % 3]
    yield make("Service", "v1", name, {"spec": {"type": kind, "selector": labels, "ports": [{"port": 80, "targetPort": "http"}]}}, ns)
    yield make("Endpoints", "v1", f"{prefix}-by-hand-{i}", {"subsets": [{"addresses": [{"ip": f"192.0.2.{i % 250 + 1}"}], "ports": [{"port": 80}]}]}, ns)
    yield make("Pod", "v1", name, {"spec": template(labels)["spec"]}, ns)
    yield make("ReplicationController", "v1", name, {"spec": {"replicas": 0, "selector": labels, "template": template(labels)}}, ns)
    yield make("PersistentVolumeClaim", "v1", name, {"spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "none",
                                                              "resources": {"requests": {"storage": "1Gi"}}}}, ns)
    yield make("Deployment", "apps/v1", name, {"spec": {"replicas": 0} | selector}, ns)
    yield make("StatefulSet", "apps/v1", name, {"spec": {"serviceName": name, "replicas": 0} | selector}, ns)
    yield make("DaemonSet", "apps/v1", name, {"spec": selector}, ns)
    yield make("ReplicaSet", "apps/v1", name, {"spec": {"replicas": 0} | selector}, ns)
    job = {"template": {"spec": template(labels)["spec"] | {"restartPolicy": "Never"}}}
    yield make("Job", "batch/v1", name, {"spec": job | {"suspend": True}}, ns)
    yield make("CronJob", "batch/v1", name, {"spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}}}, ns)
    yield make("HorizontalPodAutoscaler", "autoscaling/v2", name,
               {"spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                         "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]}}, ns)
    yield make("PodDisruptionBudget", "policy/v1", name, {"spec": {"minAvailable": "50%", "selector": {"matchLabels": labels}}}, ns)
    yield make("NetworkPolicy", "networking.k8s.io/v1", name, {"spec": {"podSelector": {"matchLabels": labels}, "policyTypes": ["Ingress"]}}, ns)
    yield make("Ingress", "networking.k8s.io/v1", name,
               {"spec": {"rules": [{"host": f"{name}.example.org", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {
                   "service": {"name": name, "port": {"number": 80}}}}]}}]}}, ns)
    yield make("Role", "rbac.authorization.k8s.io/v1", name, {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}, ns)
    yield make("RoleBinding", "rbac.authorization.k8s.io/v1", name,
               {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": ns}]}, ns)
    yield make("Lease", "coordination.k8s.io/v1", name, {"spec": {"holderIdentity": "me", "leaseDurationSeconds": 15,
                                                                  "renewTime": "2024-01-02T03:04:05.678901Z"}}, ns)
    yield make("EndpointSlice", "discovery.k8s.io/v1", name, {"addressType": "IPv4", "endpoints": [{
        "addresses": ["192.0.2.9"], "zone": "z1", "nodeName": "n1", "hints": {"forZones": [{"name": "z1"}]}, "conditions": {"ready": True},
        "deprecatedTopology": {"a": "b"}}, {"addresses": ["192.0.2.10"]}],
                                                              "ports": [{"port": 80, "protocol": "TCP"}]}, ns)
    yield make("ControllerRevision", "apps/v1", name, {"revision": 3, "data": {"spec": {"any": ["thing", 1, 2.5, None, True]}}}, ns)
    yield make("Event", "v1", name, {"involvedObject": {"kind": "Pod", "name": name, "namespace": ns}, "reason": "Tested", "message": "an event",
                                     "type": "Normal", "firstTimestamp": "2024-01-02T03:04:05Z", "lastTimestamp": "2024-01-02T03:04:05Z"}, ns)
    yield make("PodTemplate", "v1", name, {"template": template(labels)}, ns)
    yield make("LimitRange", "v1", name, {"spec": {"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "8Gi"}}]}}, ns)


def clusterwide(prefix, i):
    name = f"{prefix}-{i}"
    yield make("PersistentVolume", "v1", name, {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}})
    yield make("StorageClass", "storage.k8s.io/v1", name, {"provisioner": "example.org/none"})
    yield make("PriorityClass", "scheduling.k8s.io/v1", name, {"value": i, "description": "none"})
    yield make("ClusterRole", "rbac.authorization.k8s.io/v1", name, {"rules": [{"nonResourceURLs": ["/x"], "verbs": ["get"]}]})
    yield make("ClusterRoleBinding", "rbac.authorization.k8s.io/v1", name,
               {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}, "subjects": []})
    yield make("RuntimeClass", "node.k8s.io/v1", name, {"handler": "runc"})
    yield make("CSIDriver", "storage.k8s.io/v1", f"{name}.example.org", {"spec": {"attachRequired": False}})
    yield make("IngressClass", "networking.k8s.io/v1", name, {"spec": {"controller": "example.org/none"}})
    yield make("Node", "v1", name, {"spec": {"podCIDR": f"10.{i}.0.0/24"}})


def main(folder, files, prefix, rounds, total):
    objects = []
    for i in range(rounds):
        objects += namespaced(prefix, i, NAMESPACES[i % len(NAMESPACES)])
    for i in range(min(rounds, 8)):
        objects += clusterwide(prefix, i)
    for i in range(total - len(objects)):
        objects.append(make("ConfigMap", "v1", f"{prefix}-config-{i}", {"data": {"key": "x" * (i % 900), "unicode": "äöü €"}, "binaryData": {"b": "AAH/"}},
                            NAMESPACES[i % len(NAMESPACES)], {"annotations": {"number": str(i)}}))
    folder = pathlib.Path(folder)
    folder.mkdir(exist_ok=True)
    # Pods ask for their namespace's account, which no controller makes here.
    names = {"apiVersion": "v1", "kind": "List", "items": [make("Namespace", "v1", name) for name in NAMESPACES] +
             [make("ServiceAccount", "v1", "default", None, name) for name in NAMESPACES]}
    (folder / "namespaces.json").write_text(json.dumps(names))
    for part in range(files):
        (folder / f"part-{part}.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects[part::files]}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
