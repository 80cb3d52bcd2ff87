// SPDX-License-Identifier: Apache-2.0

// Prints, for every object of src/apiserver/testdata/tables.yaml, the cells that upstream's own printers make of it, one JSON array a line.
// The printers count ages from the real clock, so all times of an object are moved first: 2024-06-01T12:00:00Z becomes now.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/controlplane" // registers all kinds
	"k8s.io/kubernetes/pkg/printers"
	"k8s.io/kubernetes/pkg/printers/internalversion"
	"sigs.k8s.io/yaml"
)

var (
	base  = time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC)
	times = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
)

func shifted(text []byte) string {
	// Early in a second, so that none is lost to rounding.
	for time.Now().Nanosecond() > 300_000_000 {
		time.Sleep(10 * time.Millisecond)
	}
	by := time.Since(base)
	return times.ReplaceAllStringFunc(string(text), func(t string) string {
		moment, err := time.Parse(time.RFC3339, t)
		if err != nil {
			return t
		}
		if len(t) > len("2024-06-01T12:00:00Z") {
			return moment.Add(by).Format("2006-01-02T15:04:05.000000Z")
		}
		return moment.Add(by).Format(time.RFC3339)
	})
}

func cells(generator *printers.HumanReadableGenerator, object map[string]interface{}) ([]interface{}, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	versioned, _, err := legacyscheme.Codecs.UniversalDeserializer().Decode([]byte(shifted(text)), nil, nil)
	if err != nil {
		return nil, err
	}
	group := versioned.GetObjectKind().GroupVersionKind().Group
	internal, err := legacyscheme.Scheme.UnsafeConvertToVersion(versioned, schema.GroupVersion{Group: group, Version: runtime.APIVersionInternal})
	if err != nil {
		return nil, err
	}
	table, err := generator.GenerateTable(internal, printers.GenerateOptions{Wide: true})
	if err != nil {
		return nil, err
	}
	return table.Rows[0].Cells, nil
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var document struct {
		Cases []struct {
			Object map[string]interface{} `json:"object"`
		} `json:"cases"`
	}
	if err := yaml.Unmarshal(text, &document); err != nil {
		panic(err)
	}
	generator := printers.NewTableGenerator().With(internalversion.AddHandlers)
	for _, one := range document.Cases {
		row, err := cells(generator, one.Object)
		if err != nil {
			panic(fmt.Sprintf("%v: %v", one.Object["metadata"], err))
		}
		out, _ := json.Marshal(row)
		fmt.Println(string(out))
	}
}
