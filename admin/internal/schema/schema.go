package schema

import (
	"cmp"
	"iter"
	"reflect"
	"strings"
)

// Object is a JSON object of the document. The document is built of plain maps, not of
// kin-openapi's types: tests read it with that library, and every build of Caddy with this
// module would have to carry it if the product did, for a third of a file.
type Object = map[string]any

// Options say what the Go types don't.
type Options struct {
	// Own returns the schema of types whose JSON is not what their Go kind suggests.
	Own func(reflect.Type) (Object, bool)
	// Inputs name the types that are read from requests, and take no properties but those they have.
	Inputs map[reflect.Type]string
	// Values lists those of plain strings that have few, by type and JSON name ("bucketView.state").
	Values map[string][]string
	// Docs are the descriptions of fields, by Go type and field ("admin.bucketView.State").
	Docs map[string]string
}

// Schemas builds JSON schemas of Go types as encoding/json writes them. Structs are components.
type Schemas struct {
	Components Object
	o          Options
}

// New returns schemas without components.
func New(o Options) *Schemas { return &Schemas{Object{}, o} }

// Enum is the schema of a string that has one of some values.
func Enum[T ~string](values ...T) Object {
	return Object{"type": "string", "enum": values}
}

// Fields yields the exported fields of a struct that encoding/json looks at.
func Fields(t reflect.Type) iter.Seq[reflect.StructField] {
	return func(yield func(reflect.StructField) bool) {
		for f := range t.Fields() {
			if f.Tag.Get("json") == "-" || !f.IsExported() && !f.Anonymous {
				continue
			}
			if !yield(f) {
				return
			}
		}
	}
}

// Of returns a new schema of a type; structs become references to components.
func (s *Schemas) Of(t reflect.Type) Object {
	if own, ok := s.o.Own(t); ok {
		return own
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.Of(t.Elem())
	case reflect.Struct:
		name := s.component(t)
		return Object{"$ref": "#/components/schemas/" + name}
	case reflect.Slice:
		return Object{"type": "array", "items": s.Of(t.Elem())}
	case reflect.Map:
		return Object{"type": "object", "additionalProperties": s.Of(t.Elem())}
	case reflect.Interface:
		return Object{}
	case reflect.String:
		return Object{"type": "string"}
	case reflect.Bool:
		return Object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return Object{"type": "integer"}
	case reflect.Float64:
		return Object{"type": "number"}
	default:
		panic("admin: the API has a value of type " + t.String() + ", which has no schema")
	}
}

// component registers a struct's schema and returns its name.
func (s *Schemas) component(t reflect.Type) string {
	name, isInput := s.o.Inputs[t]
	if !isInput {
		name = strings.TrimSuffix(t.Name(), "View")
		name = strings.ToUpper(name[:1]) + name[1:]
	}
	if s.Components[name] != nil {
		return name
	}
	props, required := Object{}, []string{}
	schema := Object{"type": "object", "properties": props}
	s.Components[name] = schema
	s.fields(t, props, &required)
	if isInput {
		props["origin"] = Object{"description": "Accepted and ignored, so that what was read can be sent back."}
		props["status"] = Object{"description": "Accepted and ignored, so that what was read can be sent back."}
		schema["additionalProperties"] = false
	} else {
		schema["required"] = required
	}
	return name
}

// fields adds a struct's fields, those of embedded structs as its own.
func (s *Schemas) fields(t reflect.Type, props Object, required *[]string) {
	for f := range Fields(t) {
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && tag == "" {
			embedded := f.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			s.fields(embedded, props, required)
			continue
		}
		tag = cmp.Or(tag, f.Name)
		schema := s.Of(f.Type)
		optional := options == "omitempty" || options == "omitzero"
		if f.Type.Kind() == reflect.Pointer && !optional {
			schema = Object{"anyOf": []Object{schema, {"type": "null"}}}
		}
		if values := s.o.Values[t.Name()+"."+tag]; values != nil {
			schema["enum"] = values
		}
		if doc := s.o.Docs[t.String()+"."+f.Name]; doc != "" {
			schema["description"] = doc
		}
		props[tag] = schema
		if !optional {
			*required = append(*required, tag)
		}
	}
}
