// SPDX-License-Identifier: Apache-2.0

// load asks any Kubernetes API server for the same work and prints one line a scenario, "NAME VALUE UNIT", so that two servers can be set
// side by side. It uses client-go, as most of the world does, without its rate limit.
//
//	load -kubeconfig FILE [-protobuf] [-n N] [-c CLIENTS] create|get|list|watch|podstart|crifloor...
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A new one each time: the last one may still be going away.
var namespace = fmt.Sprintf("knarr-bench-%d", os.Getpid())

var (
	kubeconfig = flag.String("kubeconfig", os.Getenv("KUBECONFIG"), "kubeconfig file")
	protobuf   = flag.Bool("protobuf", false, "speak protobuf instead of JSON")
	number     = flag.Int("n", 5000, "objects or calls")
	clients    = flag.Int("c", 32, "calls at the same time")
	watchers   = flag.Int("watchers", 200, "connections of the watch scenario")
	image      = flag.String("image", "knarr/demo:1.0", "image of podstart and crifloor, present on the node")
	endpoint   = flag.String("cri", "", "CRI socket of crifloor, unix:///path")
)

func main() {
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	check(err)
	config.QPS, config.Burst = -1, -1
	if *protobuf {
		config.ContentType = "application/vnd.kubernetes.protobuf"
	}
	client := kubernetes.NewForConfigOrDie(config)
	ctx := context.Background()
	prepare(ctx, client)
	scenarios := map[string]func(context.Context, *rest.Config, *kubernetes.Clientset){
		"create": create, "get": get, "list": list, "watch": watch, "podstart": podStart, "crifloor": criFloor,
	}
	for _, name := range flag.Args() {
		run, known := scenarios[name]
		if !known {
			check(fmt.Errorf("unknown scenario %q", name))
		}
		run(ctx, config, client)
	}
	check(client.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{}))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func report(name string, value float64, unit string) { fmt.Printf("%s %.2f %s\n", name, value, unit) }

// A namespace of its own, with the service account that pods need.
func prepare(ctx context.Context, client *kubernetes.Clientset) {
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		_, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
		if err == nil || time.Since(start) > 2*time.Minute {
			check(err)
			break
		}
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	_, _ = client.CoreV1().ServiceAccounts(namespace).Create(ctx, account, metav1.CreateOptions{})
}

// About 1.5 kB once stored. Bound to a node that does not exist unless it is to run.
func pod(name, node string) *corev1.Pod {
	grace := int64(0)
	automount := false
	made := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "bench", "tier": "load", "run": name}},
		Spec: corev1.PodSpec{NodeName: node, TerminationGracePeriodSeconds: &grace, AutomountServiceAccountToken: &automount,
			Containers: []corev1.Container{{Name: "main", Image: *image, Command: []string{"sleep", "3600"}, ImagePullPolicy: corev1.PullIfNotPresent}}},
	}
	for i := 0; i < 8; i++ {
		made.Spec.Containers[0].Env = append(made.Spec.Containers[0].Env, corev1.EnvVar{Name: fmt.Sprintf("VARIABLE_%d", i), Value: "a value of middling length"})
	}
	return made
}

// Calls do(i) for 0..n-1 from *clients goroutines; returns the rate and the 99th percentile of a call.
func parallel(n int, do func(i int) error) (rate, p99 float64) {
	var next atomic.Int64
	times := make([]time.Duration, n)
	var group sync.WaitGroup
	start := time.Now()
	for c := 0; c < *clients; c++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				began := time.Now()
				check(do(i))
				times[i] = time.Since(began)
			}
		}()
	}
	group.Wait()
	elapsed := time.Since(start)
	sort.Slice(times, func(a, b int) bool { return times[a] < times[b] })
	return float64(n) / elapsed.Seconds(), times[n*99/100].Seconds() * 1000
}

func create(ctx context.Context, _ *rest.Config, client *kubernetes.Clientset) {
	rate, p99 := parallel(*number, func(i int) error {
		_, err := client.CoreV1().Pods(namespace).Create(ctx, pod(fmt.Sprintf("load-%d", i), "no-such-node"), metav1.CreateOptions{})
		return err
	})
	report("create", rate, "/s")
	report("create-p99", p99, "ms")
}

func get(ctx context.Context, _ *rest.Config, client *kubernetes.Clientset) {
	rate, _ := parallel(*number, func(int) error {
		_, err := client.CoreV1().Pods(namespace).Get(ctx, "load-0", metav1.GetOptions{})
		return err
	})
	report("get", rate, "/s")
}

// Whole bodies, read and thrown away: what the server can give, not what a client can decode.
func list(ctx context.Context, _ *rest.Config, client *kubernetes.Clientset) {
	best := time.Hour
	for i := 0; i < 10; i++ {
		began := time.Now()
		body, err := client.CoreV1().RESTClient().Get().Namespace(namespace).Resource("pods").DoRaw(ctx)
		check(err)
		if len(body) == 0 {
			check(fmt.Errorf("an empty list"))
		}
		if took := time.Since(began); took < best {
			best = took
		}
	}
	report("list", best.Seconds()*1000, "ms")
}

func watch(ctx context.Context, config *rest.Config, client *kubernetes.Clientset) {
	object, err := client.CoreV1().ConfigMaps(namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "watched"}}, metav1.CreateOptions{})
	check(err)
	const updates = 100
	var group sync.WaitGroup
	for i := 0; i < *watchers; i++ {
		own, err := kubernetes.NewForConfig(config)
		check(err)
		stream, err := own.CoreV1().ConfigMaps(namespace).Watch(ctx, metav1.ListOptions{
			FieldSelector: fields.OneTermEqualSelector("metadata.name", "watched").String(), ResourceVersion: object.ResourceVersion})
		check(err)
		group.Add(1)
		go func() {
			defer group.Done()
			defer stream.Stop()
			for seen := 0; seen < updates; seen++ {
				<-stream.ResultChan()
			}
		}()
	}
	start := time.Now()
	for i := 0; i < updates; i++ {
		object.Data = map[string]string{"count": fmt.Sprint(i)}
		object, err = client.CoreV1().ConfigMaps(namespace).Update(ctx, object, metav1.UpdateOptions{})
		check(err)
	}
	group.Wait()
	report("watch", float64(updates**watchers)/time.Since(start).Seconds(), "events/s")
}

func median(times []time.Duration) float64 {
	sort.Slice(times, func(a, b int) bool { return times[a] < times[b] })
	return times[len(times)/2].Seconds() * 1000
}

// From the write of a pod to its phase Running, one after another.
func podStart(ctx context.Context, _ *rest.Config, client *kubernetes.Clientset) {
	var times []time.Duration
	for i := 0; i < 10; i++ {
		name := fmt.Sprintf("start-%d", i)
		stream, err := client.CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()})
		check(err)
		began := time.Now()
		_, err = client.CoreV1().Pods(namespace).Create(ctx, pod(name, ""), metav1.CreateOptions{})
		check(err)
		for event := range stream.ResultChan() {
			if seen, ok := event.Object.(*corev1.Pod); ok && seen.Status.Phase == corev1.PodRunning {
				break
			}
		}
		times = append(times, time.Since(began))
		stream.Stop()
		check(client.CoreV1().Pods(namespace).Delete(ctx, name, metav1.DeleteOptions{}))
	}
	report("podstart", median(times), "ms")
}

// The same sandbox and container asked of the runtime itself: the floor under podstart.
func criFloor(ctx context.Context, _ *rest.Config, _ *kubernetes.Clientset) {
	connection, err := grpc.Dial(*endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	runtime := cri.NewRuntimeServiceClient(connection)
	var times []time.Duration
	for i := 0; i < 10; i++ {
		name := fmt.Sprintf("floor-%d", i)
		sandbox := &cri.PodSandboxConfig{Metadata: &cri.PodSandboxMetadata{Name: name, Uid: name, Namespace: namespace}, Linux: &cri.LinuxPodSandboxConfig{}}
		began := time.Now()
		made, err := runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: sandbox})
		check(err)
		container, err := runtime.CreateContainer(ctx, &cri.CreateContainerRequest{PodSandboxId: made.PodSandboxId, SandboxConfig: sandbox,
			Config: &cri.ContainerConfig{Metadata: &cri.ContainerMetadata{Name: "main"}, Image: &cri.ImageSpec{Image: *image},
				Command: []string{"sleep", "3600"}, Linux: &cri.LinuxContainerConfig{}}})
		check(err)
		_, err = runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: container.ContainerId})
		check(err)
		times = append(times, time.Since(began))
		_, err = runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: made.PodSandboxId})
		check(err)
		_, err = runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: made.PodSandboxId})
		check(err)
	}
	report("crifloor", median(times), "ms")
}
