package schema

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

type zone struct {
	Name   string            `json:"name"`
	Hidden string            `json:"-"`
	secret string            //nolint:unused // it is there to be left out
	Labels map[string]string `json:"labels,omitempty"`
}

type embedded struct {
	Origin string `json:"origin"`
}

type sampleView struct {
	embedded
	*zone
	State   string        `json:"state"`
	Count   int64         `json:"count"`
	Share   float64       `json:"share"`
	On      bool          `json:"on"`
	Next    *zone         `json:"next"`
	Maybe   *zone         `json:"maybe,omitempty"`
	Zones   []zone        `json:"zones"`
	Any     any           `json:"any"`
	Took    time.Duration `json:"took"`
	Nested  []*sampleView `json:"nested"`
	Number  int           `json:"number,omitzero"`
	Part    part          `json:"part"`
	Plain   string
	Wrapped `json:"as"`
}

type part struct {
	Size *int `json:"size"`
}

type Wrapped struct {
	Inner string `json:"inner"`
}

func schemas() *Schemas {
	return New(Options{
		Own: func(t reflect.Type) (Object, bool) {
			return Object{"type": "string", "format": "duration"}, t == reflect.TypeFor[time.Duration]()
		},
		Inputs: map[reflect.Type]string{reflect.TypeFor[zone](): "ZoneInput"},
		Values: map[string][]string{"sampleView.state": {"ok", "stuck"}},
		Docs:   map[string]string{"schema.sampleView.Count": "How many.", "schema.zone.Name": "The name."},
	})
}

// at returns the JSON of what is at a path of a value.
func at(t *testing.T, v any, path ...string) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var m any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	for _, p := range path {
		m = m.(map[string]any)[p]
	}
	text, _ = json.Marshal(m)
	return string(text)
}

// Every property has the schema of what encoding/json writes there.
func TestProperties(t *testing.T) {
	s := schemas()
	if ref := at(t, s.Of(reflect.TypeFor[[]sampleView]()), "items", "$ref"); ref != `"#/components/schemas/Sample"` {
		t.Errorf("refers to %s", ref)
	}
	for name, want := range map[string]string{
		"origin": `{"type":"string"}`,
		"name":   `{"description":"The name.","type":"string"}`,
		"labels": `{"additionalProperties":{"type":"string"},"type":"object"}`,
		"state":  `{"enum":["ok","stuck"],"type":"string"}`,
		"count":  `{"description":"How many.","type":"integer"}`,
		"share":  `{"type":"number"}`,
		"on":     `{"type":"boolean"}`,
		"next":   `{"anyOf":[{"$ref":"#/components/schemas/ZoneInput"},{"type":"null"}]}`,
		"maybe":  `{"$ref":"#/components/schemas/ZoneInput"}`,
		"zones":  `{"items":{"$ref":"#/components/schemas/ZoneInput"},"type":"array"}`,
		"any":    `{}`,
		"took":   `{"format":"duration","type":"string"}`,
		"nested": `{"items":{"$ref":"#/components/schemas/Sample"},"type":"array"}`,
		"number": `{"type":"integer"}`,
		"part":   `{"$ref":"#/components/schemas/Part"}`,
		"Plain":  `{"type":"string"}`,
		"as":     `{"$ref":"#/components/schemas/Wrapped"}`,
		"inner":  `null`,
		"":       `null`,
		"secret": `null`,
		"Hidden": `null`,
	} {
		if got := at(t, s.Components, "Sample", "properties", name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if got := at(t, s.Components, "Sample", "required"); got != `["origin","name","state","count","share","on","next","zones","any","took","nested","part","Plain","as"]` {
		t.Errorf("required are %s", got)
	}
	if got := at(t, s.Components, "Part"); got != `{"properties":{"size":{"anyOf":[{"type":"integer"},{"type":"null"}]}},"required":["size"],"type":"object"}` {
		t.Errorf("what is only answered takes what it likes: %s", got)
	}
}

// What is read takes what was read before, and nothing that is unknown.
func TestInputs(t *testing.T) {
	s := schemas()
	s.Of(reflect.TypeFor[*zone]())
	if got := at(t, s.Components, "ZoneInput", "additionalProperties"); got != "false" {
		t.Errorf("additional properties: %s", got)
	}
	if origin := at(t, s.Components, "ZoneInput", "properties", "origin"); origin == "null" || origin != at(t, s.Components, "ZoneInput", "properties", "status") || at(t, s.Components, "ZoneInput", "required") != "null" {
		t.Errorf("%v", s.Components)
	}
	if got := at(t, Enum("a", "b")); got != `{"enum":["a","b"],"type":"string"}` {
		t.Error(got)
	}
}

func TestNoSchema(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a channel has a schema")
		}
	}()
	schemas().Of(reflect.TypeFor[chan int]())
}
