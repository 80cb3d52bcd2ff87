// SPDX-License-Identifier: Apache-2.0
// Speed of the codecs on a pod of about 1.5 kB of JSON, as a server meets it: with managed fields
// and a status.
#include <benchmark/benchmark.h>

#include "api/core_v1.h"
#include "schema/codec.h"
#include "schema/json.h"

namespace knarr::schema {
namespace {

constexpr std::string_view kPod =
    R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"web-5d78c8869-x2v7q","generateName":"web-5d78c8869-","namespace":"default",)"
    R"("uid":"0b7c9a3e-52a3-4f6e-9a3b-4c9f4a1f5b11","resourceVersion":"123456","creationTimestamp":"2024-03-01T12:00:00Z",)"
    R"("labels":{"app":"web","pod-template-hash":"5d78c8869"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet",)"
    R"("name":"web-5d78c8869","uid":"5ad8f9c2-5b0d-4d0c-8f0a-1d2c3b4a5f60","controller":true,"blockOwnerDeletion":true}]},)"
    R"("spec":{"volumes":[{"name":"kube-api-access-7x8kq","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,)"
    R"("path":"token"}},{"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}}],"defaultMode":420}}],)"
    R"("containers":[{"name":"web","image":"registry.example.com/web:1.2.3","ports":[{"name":"http","containerPort":8080,)"
    R"("protocol":"TCP"}],"resources":{"limits":{"cpu":"500m","memory":"128Mi"},"requests":{"cpu":"100m","memory":"64Mi"}},)"
    R"("volumeMounts":[{"name":"kube-api-access-7x8kq","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}],)"
    R"("terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent"}],)"
    R"("restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","serviceAccountName":"default",)"
    R"("nodeName":"node-1","securityContext":{},"schedulerName":"default-scheduler"},"status":{"phase":"Running","conditions":)"
    R"([{"type":"Ready","status":"True","lastProbeTime":null,"lastTransitionTime":"2024-03-01T12:00:05Z"}],"hostIP":"10.0.0.1",)"
    R"("podIP":"10.244.0.5","podIPs":[{"ip":"10.244.0.5"}],"startTime":"2024-03-01T12:00:00Z","qosClass":"Burstable"}})";

using Pod = api::core_v1::Pod;

Pod pod() { return *from_json<Pod>(kPod); }

void json_decode(benchmark::State& state) {
  for (auto _ : state) {
    Pod decoded;
    Status status = decode_json(kPod, Pod::table(), &decoded);
    benchmark::DoNotOptimize(status);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kPod.size()));
}
void json_decode_strict(benchmark::State& state) {
  for (auto _ : state) {
    Pod decoded;
    DecodeReport report;
    Status status = decode_json(kPod, Pod::table(), &decoded, &report);
    benchmark::DoNotOptimize(status);
  }
}
void json_encode(benchmark::State& state) {
  Pod object = pod();
  std::string out;
  for (auto _ : state) {
    out.clear();
    encode_json(out, Pod::table(), &object, &Pod::kind_info());
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(out.size()));
}
void proto_decode(benchmark::State& state) {
  std::string bytes = to_proto(pod());
  for (auto _ : state) {
    Pod decoded;
    Status status = decode_proto(bytes, Pod::table(), &decoded);
    benchmark::DoNotOptimize(status);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}
void proto_encode(benchmark::State& state) {
  Pod object = pod();
  std::string out;
  for (auto _ : state) {
    out.clear();
    encode_proto(out, Pod::table(), &object);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(out.size()));
}
void copy_object(benchmark::State& state) {
  Pod object = pod();
  for (auto _ : state) {
    Pod copied = object;
    benchmark::DoNotOptimize(&copied);
  }
}
void json_tree(benchmark::State& state) {
  for (auto _ : state) {
    Result<json::Value> tree = json::parse(kPod);
    benchmark::DoNotOptimize(tree);
  }
}
void yaml_encode(benchmark::State& state) {
  Pod object = pod();
  for (auto _ : state) benchmark::DoNotOptimize(encode(Encoding::kYaml, Pod::kind_info(), &object));
}

BENCHMARK(json_decode);
BENCHMARK(json_decode_strict);
BENCHMARK(json_encode);
BENCHMARK(proto_decode);
BENCHMARK(proto_encode);
BENCHMARK(copy_object);
BENCHMARK(json_tree);
BENCHMARK(yaml_encode);

}  // namespace
}  // namespace knarr::schema

BENCHMARK_MAIN();
