package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// apiResource is an entry of a discovery document.
type apiResource struct {
	Name, SingularName, Group, Version, Kind, StorageVersionHash string
	Namespaced                                                   bool
	Verbs, ShortNames, Categories                                []string
}

// storagePaths are the path elements under /registry/ that are not the plural name: upstream's historical prefixes,
// and the two API servers that qualify theirs with the group.
var storagePaths = map[string]string{
	"core/replicationcontrollers": "controllers",
	"core/endpoints":              "services/endpoints",
	"core/nodes":                  "minions",
	"core/services":               "services/specs",
	"networking.k8s.io/ingresses": "ingress",
	"apiextensions.k8s.io/customresourcedefinitions": "apiextensions.k8s.io/customresourcedefinitions",
	"apiregistration.k8s.io/apiservices":             "apiregistration.k8s.io/apiservices",
}

// fieldSelectors are the field labels beside metadata.name and metadata.namespace. Upstream has them only as code, in
// the conversion functions of each group.
var fieldSelectors = map[string][]string{
	"core/events": {"involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
		"involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
		"reportingComponent", "source", "type"},
	"core/namespaces": {"status.phase"},
	"core/nodes":      {"spec.unschedulable"},
	"core/pods": {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
		"spec.hostNetwork", "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName", "spec.host"},
	"core/replicationcontrollers": {"status.replicas"},
	"core/secrets":                {"type"},
	"batch/jobs":                  {"status.successful"},
	"certificates.k8s.io/certificatesigningrequests": {"spec.signerName"},
	"certificates.k8s.io/clustertrustbundles":        {"spec.signerName"},
	"events.k8s.io/events": {"reason", "regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid",
		"regarding.apiVersion", "regarding.resourceVersion", "regarding.fieldPath", "reportingController", "type"},
}

// writeResources writes a resource block for each resource in the group-version's discovery document, if there is one.
func writeResources(w io.Writer, kubernetesDir string, p *pkg) error {
	name := "apis__" + p.group + "__" + p.version + ".json"
	if p.group == "core" {
		name = "api__" + p.version + ".json"
	}
	text, err := os.ReadFile(filepath.Join(kubernetesDir, "api", "discovery", name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // types only: never served by 1.28
	}
	if err != nil {
		return err
	}
	var document struct{ Resources []apiResource }
	if err := json.Unmarshal(text, &document); err != nil {
		return err
	}
	subresources := map[string][]apiResource{}
	for _, r := range document.Resources {
		if parent, _, ok := strings.Cut(r.Name, "/"); ok {
			subresources[parent] = append(subresources[parent], r)
		}
	}
	for _, r := range document.Resources {
		if !strings.Contains(r.Name, "/") {
			writeResource(w, p, r, subresources[r.Name])
		}
	}
	return nil
}

func writeResource(w io.Writer, p *pkg, r apiResource, subresources []apiResource) {
	line := func(word string, values ...string) {
		if len(values) > 0 && values[0] != "" {
			fmt.Fprintf(w, "  %s %s\n", word, strings.Join(values, " "))
		}
	}
	fmt.Fprintf(w, "\nresource %s\n", r.Name)
	line("kind", kindRef(p, r))
	line("scope", map[bool]string{true: "Namespaced", false: "Cluster"}[r.Namespaced])
	line("singular", r.SingularName)
	line("verbs", r.Verbs...)
	line("short", r.ShortNames...)
	line("categories", r.Categories...)
	if r.StorageVersionHash != "" { // absent from resources that are computed, not stored
		storage := storagePaths[p.group+"/"+r.Name]
		if storage == "" {
			storage = r.Name
		}
		line("storage", storage)
		line("hash", r.StorageVersionHash)
	}
	line("served", map[bool]string{true: "yes", false: "no"}[servedByDefault(p)])
	for _, label := range fieldSelectors[p.group+"/"+r.Name] {
		line("selector", label)
	}
	for _, sub := range subresources {
		words := append([]string{strings.TrimPrefix(sub.Name, r.Name+"/")}, sub.Verbs...)
		if sub.Kind != r.Kind || sub.Group != r.Group {
			words = append(words, "kind="+kindRef(p, sub))
		}
		line("sub", words...)
	}
}

// kindRef names the kind of a resource, qualified by its file if that is another one.
func kindRef(p *pkg, r apiResource) string {
	if r.Version == "" || r.Group == p.group && r.Version == p.version {
		return r.Kind
	}
	label, _, _ := strings.Cut(r.Group, ".")
	return label + "_" + r.Version + "." + r.Kind
}

// servedByDefault is upstream's DefaultAPIResourceConfigSource: what is stable, and the flow control versions before
// there was a stable one.
func servedByDefault(p *pkg) bool {
	if p.group == "flowcontrol.apiserver.k8s.io" {
		return p.version == "v1beta2" || p.version == "v1beta3"
	}
	return !strings.Contains(p.version, "alpha") && !strings.Contains(p.version, "beta")
}
