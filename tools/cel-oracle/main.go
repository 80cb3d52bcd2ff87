// SPDX-License-Identifier: Apache-2.0

// What upstream answers to expressions: reads cases as JSON lines, writes them with upstream's issues, values and costs. The answers are
// kept in tests/vectors/cel_cases.jsonl; run `tools/cel-oracle/record.sh` after adding cases.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	celschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/version"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/cel/library"
)

type Case struct {
	Expr   string          `json:"expr,omitempty"`
	Define string          `json:"define,omitempty"` // names a schema and an object for the cases `with` them
	With   string          `json:"with,omitempty"`
	Minor  uint            `json:"minor,omitempty"`
	Schema json.RawMessage `json:"schema,omitempty"`
	Self   json.RawMessage `json:"self,omitempty"`
	Limit  uint64          `json:"limit,omitempty"`
}
type Answer struct {
	Case
	Issues  string  `json:"issues,omitempty"`
	Program string  `json:"program,omitempty"`
	Error   string  `json:"error,omitempty"`
	Type    string  `json:"type,omitempty"`
	Value   string  `json:"value,omitempty"`
	Cost    *uint64 `json:"cost,omitempty"`
	Min     string  `json:"min,omitempty"`
	Max     string  `json:"max,omitempty"`
}

type sizer struct{ root *apiservercel.DeclType }

func (c *sizer) EstimateSize(element checker.AstNode) *checker.SizeEstimate {
	if len(element.Path()) == 0 || c.root == nil {
		return nil
	}
	n := c.root
	for _, name := range element.Path()[1:] {
		switch name {
		case "@items", "@values":
			if n.ElemType == nil {
				return nil
			}
			n = n.ElemType
		case "@keys":
			if n.KeyType == nil {
				return nil
			}
			n = n.KeyType
		default:
			f, ok := n.Fields[name]
			if !ok || f.Type == nil {
				return nil
			}
			n = f.Type
		}
	}
	return &checker.SizeEstimate{Min: 0, Max: uint64(n.MaxElements)}
}
func (c *sizer) EstimateCallCost(function, overloadID string, target *checker.AstNode, args []checker.AstNode) *checker.CallEstimate {
	return nil
}

func run(c Case) (a Answer) {
	a.Case = c
	defer func() {
		if r := recover(); r != nil {
			a.Program = fmt.Sprintf("panic: %v", r)
		}
	}()
	minor := c.Minor
	if minor == 0 {
		minor = 28
	}
	set := environment.MustBaseEnvSet(version.MajorMinor(1, minor))
	env := set.NewExpressionsEnv()
	var self interface{}
	if len(c.Self) > 0 {
		if err := utiljson.Unmarshal(c.Self, &self); err != nil {
			panic(err)
		}
	}
	var err error
	var decl *apiservercel.DeclType
	vars := map[string]interface{}{"self": self}
	if len(c.Schema) > 0 {
		var props v1.JSONSchemaProps
		if err := json.Unmarshal(c.Schema, &props); err != nil {
			panic(err)
		}
		var in apiextensions.JSONSchemaProps
		if err := v1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&props, &in, nil); err != nil {
			panic(err)
		}
		s, err := schema.NewStructural(&in)
		if err != nil {
			panic(err)
		}
		decl = model.SchemaDeclType(s, false)
		decl = decl.MaybeAssignTypeName("Root")
		set2, err := set.Extend(environment.VersionedOptions{IntroducedVersion: version.MajorMinor(1, 0), EnvOptions: []cel.EnvOption{cel.Variable("self", decl.CelType()), cel.Variable("oldSelf", decl.CelType())}, DeclTypes: []*apiservercel.DeclType{decl}})
		if err != nil {
			panic(err)
		}
		env = set2.NewExpressionsEnv()
		vars["self"] = celschema.UnstructuredToVal(self, s)
		vars["oldSelf"] = vars["self"]
	} else {
		env, err = env.Extend(cel.Variable("self", cel.DynType))
		if err != nil {
			panic(err)
		}
	}
	ast, iss := env.Compile(c.Expr)
	if iss != nil && iss.Err() != nil {
		a.Issues = iss.String()
		return
	}
	a.Type = ast.OutputType().String()
	est := &library.CostEstimator{SizeEstimator: &sizer{decl}}
	ce, err := env.EstimateCost(ast, est)
	if err != nil {
		panic(err)
	}
	a.Min = fmt.Sprint(ce.Min)
	a.Max = fmt.Sprint(ce.Max)
	limit := c.Limit
	if limit == 0 {
		limit = 1000000
	}
	p, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize, cel.OptTrackCost), cel.CostLimit(limit), cel.CostTracking(est), cel.InterruptCheckFrequency(100))
	if err != nil {
		a.Program = err.Error()
		return
	}
	var v ref.Val
	v, det, err := p.Eval(vars)
	if det != nil && det.ActualCost() != nil {
		x := *det.ActualCost()
		a.Cost = &x
	}
	if err != nil {
		a.Error = err.Error()
		return
	}
	a.Value = show(v)
	return
}

// One text for each value, whatever holds it.
func show(v ref.Val) string {
	switch x := v.(type) {
	case types.Uint:
		return fmt.Sprintf("%du", uint64(x))
	case types.Double:
		return fmt.Sprintf("%gd", float64(x))
	case types.String:
		return "'" + string(x) + "'"
	case types.Bytes:
		return fmt.Sprintf("b'%x'", []byte(x))
	case types.Duration, types.Timestamp:
		return fmt.Sprintf("%s(%s)", v.Type(), v.ConvertToType(types.StringType))
	case *types.Optional:
		if !x.HasValue() {
			return "none"
		}
		return "optional " + show(x.GetValue())
	case traits.Mapper:
		var all []string
		for it := x.Iterator(); it.HasNext() == types.True; {
			k := it.Next()
			if k == nil {
				continue
			}
			all = append(all, show(k)+": "+show(x.Get(k)))
		}
		sort.Strings(all)
		return "{" + strings.Join(all, ", ") + "}"
	case traits.Lister:
		var all []string
		for it := x.Iterator(); it.HasNext() == types.True; {
			all = append(all, show(it.Next()))
		}
		return "[" + strings.Join(all, ", ") + "]"
	case types.Bool, types.Int, types.Null, *types.Err:
		return fmt.Sprint(v.Value())
	case *types.TypeValue:
		return "type " + x.TypeName()
	}
	return v.Type().TypeName()
}

func main() {
	sc := bufio.NewScanner(os.Stdin)
	sc.Buffer(make([]byte, 1<<20), 1<<26)
	w := bufio.NewWriter(os.Stdout)
	defer w.Flush()
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	defined := map[string]Case{}
	for sc.Scan() {
		if len(sc.Bytes()) == 0 {
			continue
		}
		var c Case
		if err := json.Unmarshal(sc.Bytes(), &c); err != nil {
			panic(err)
		}
		if c.Define != "" {
			defined[c.Define] = c
			enc.Encode(c)
			continue
		}
		whole := c
		if d, ok := defined[c.With]; ok {
			whole.Schema, whole.Self = d.Schema, d.Self
		}
		a := run(whole)
		a.Case = c
		enc.Encode(a)
	}
}
