// Command schema-import writes the api/*.api files: the Kubernetes API as data.
//
// It reads the published Go modules of one Kubernetes release as text: the struct declarations with their json,
// protobuf and patch tags, the "+marker" comments beside them, the generated.proto message lists and the discovery
// documents. Nothing of upstream is compiled or linked, so the import takes about a second and needs no dependency.
//
//	go run .          write ../../api/*.api
//	go run . -check   fail if the committed files differ from a fresh import
//
// The format is described in api/README.md.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// modules are the upstream releases read, all of one Kubernetes release. `go mod download` verifies their checksums
// against the Go checksum database.
var modules = []string{
	"k8s.io/api@v0.28.4",
	"k8s.io/apimachinery@v0.28.4",
	"k8s.io/apiextensions-apiserver@v0.28.4",
	"k8s.io/kube-aggregator@v0.28.4",
	"k8s.io/cri-api@v0.28.4",
	"k8s.io/kubernetes@v1.28.4", // discovery documents; the tests also read its OpenAPI document
}

// extraPackages are imported beside every group-version of k8s.io/api.
var extraPackages = []string{
	"k8s.io/apimachinery/pkg/runtime",
	"k8s.io/apimachinery/pkg/version",
	"k8s.io/apimachinery/pkg/apis/meta/v1",
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1",
	"k8s.io/kube-aggregator/pkg/apis/apiregistration/v1",
	"k8s.io/cri-api/pkg/apis/runtime/v1",
}

func main() {
	check := flag.Bool("check", false, "compare with the committed files instead of writing them")
	out := flag.String("out", "../../api", "folder of the .api files")
	flag.Parse()
	if err := run(*out, *check); err != nil {
		fmt.Fprintln(os.Stderr, "schema-import:", err)
		os.Exit(1)
	}
}

func run(out string, check bool) error {
	files, err := importAll()
	if err != nil {
		return err
	}
	stale, err := filepath.Glob(filepath.Join(out, "*.api"))
	if err != nil {
		return err
	}
	var differing []string
	for _, path := range stale {
		if _, ok := files[filepath.Base(path)]; !ok {
			differing = append(differing, path)
		}
	}
	for name, text := range files {
		path := filepath.Join(out, name)
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
			continue
		}
		differing = append(differing, path)
		if !check {
			if err := os.WriteFile(path, text, 0o644); err != nil {
				return err
			}
		}
	}
	if check && len(differing) > 0 {
		return fmt.Errorf("not what an import writes: %s", strings.Join(differing, " "))
	}
	return nil
}

// importAll returns the text of every .api file by file name.
func importAll() (map[string][]byte, error) {
	dirs, err := downloadModules()
	if err != nil {
		return nil, err
	}
	source := newSource(dirs)
	paths, err := source.apiPackages()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, path := range append(paths, extraPackages...) {
		pkg, err := source.load(path)
		if err != nil {
			return nil, err
		}
		var text bytes.Buffer
		if err := writeTypes(&text, source, pkg); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if err := writeResources(&text, dirs["k8s.io/kubernetes"], pkg); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		name := pkg.file + ".api"
		if _, dup := files[name]; dup {
			return nil, fmt.Errorf("%s: two packages write %s", path, name)
		}
		files[name] = text.Bytes()
	}
	return files, nil
}

// downloadModules makes sure that the modules are in the module cache and returns their folders by module path.
func downloadModules() (map[string]string, error) {
	cmd := exec.Command("go", append([]string{"mod", "download", "-json"}, modules...)...)
	cmd.Stderr = os.Stderr
	listing, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download: %w", err)
	}
	dirs := map[string]string{}
	for dec := json.NewDecoder(bytes.NewReader(listing)); dec.More(); {
		var module struct{ Path, Dir string }
		if err := dec.Decode(&module); err != nil {
			return nil, err
		}
		dirs[module.Path] = module.Dir
	}
	return dirs, nil
}
