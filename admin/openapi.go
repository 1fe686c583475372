package admin

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/fado-project/fado/catalog"
)

// apiVersion is the version of the API as its document names it.
const apiVersion = "1"

var described struct {
	once sync.Once
	json object
}

// serveOpenAPI answers with the OpenAPI document.
func serveOpenAPI(c *call) error { return c.reply(http.StatusOK, openAPI()) }

// openAPI returns the OpenAPI 3.1 document of the table of operations.
func openAPI() object {
	described.once.Do(func() { described.json = describe(table().operations) })
	return described.json
}

func describe(ops operations) object {
	s := newSchemas()
	paths := make(map[string]object)
	for _, op := range ops {
		if paths[op.pattern] == nil {
			paths[op.pattern] = object{}
			if params := pathParameters(op.pattern); len(params) > 0 {
				paths[op.pattern]["parameters"] = params
			}
		}
		paths[op.pattern][strings.ToLower(op.method)] = describeOperation(s, op)
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "FaDO admin API", "version": apiVersion,
			"summary": "Zones, clusters, policies and buckets; where data is, where invocations go, and why.",
			"license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":    []object{{"url": "http://localhost:2019", "description": "Caddy's admin endpoint"}},
		"security":   []object{},
		"paths":      paths,
		"components": object{"schemas": s.components},
	}
}

func describeOperation(s *schemas, op operation) object {
	o := object{
		"operationId": op.name, "summary": op.summary, "x-fado-role": op.role, "responses": describeReplies(s, op),
	}
	var params []object
	for _, p := range op.params {
		params = append(params, describeParameter(p))
	}
	if op.conditional {
		params = append(params,
			object{"name": "If-Match", "in": "header", "schema": object{"type": "string"}, "description": "Do it only if the item has one of these ETags, or with * if there is one."},
			object{"name": "If-None-Match", "in": "header", "schema": object{"const": "*"}, "description": "Do it only if there is no such item."})
	}
	if op.revised {
		params = append(params, object{"name": "If-Match", "in": "header", "schema": object{"type": "string"}, "description": "Do it only if the catalogue's revision is this ETag of a plan."})
	}
	if params != nil {
		o["parameters"] = params
	}
	if op.request != nil {
		schema := s.of(reflect.TypeOf(op.request))
		_, named := op.request.(*catalog.Key) // a key gets a name
		if _, isResource := op.request.(catalog.Resource); op.method == http.MethodPost && isResource && !named {
			schema["required"] = []string{"name"}
		}
		content := object{}
		for _, media := range op.requestTypes {
			content[media] = object{"schema": schema}
		}
		o["requestBody"] = object{"required": true, "content": content}
	}
	return o
}

func describeReplies(s *schemas, op operation) object {
	replies := object{}
	for _, r := range op.replies {
		reply := object{"description": r.doc}
		if r.body != nil {
			media := r.media
			if media == "" {
				media = mediaJSON
			}
			content := object{media: object{"schema": s.of(reflect.TypeOf(r.body))}}
			for _, m := range r.also {
				content[m] = object{"schema": object{"type": "string"}}
			}
			reply["content"] = content
		}
		headers := object{}
		for _, name := range r.headers {
			headers[name] = object{"schema": object{"type": "string"}}
		}
		if len(headers) > 0 {
			reply["headers"] = headers
		}
		replies[strconv.Itoa(r.status)] = reply
	}
	for _, status := range op.errors {
		replies[strconv.Itoa(status)] = s.errorReply(http.StatusText(status))
	}
	replies["default"] = s.errorReply("Any other error.")
	return replies
}

func describeParameter(p parameter) object {
	schema := object{"type": "string"}
	switch {
	case p.integer:
		schema = object{"type": "integer", "minimum": 1, "maximum": maxLimit}
	case p.enum != nil:
		schema["enum"] = p.enum
	case p.repeated:
		schema = object{"type": "array", "items": schema}
	}
	return object{"name": p.name, "in": "query", "description": p.doc, "schema": schema}
}

func pathParameters(path string) []object {
	var params []object
	for seg := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(seg, "{") {
			params = append(params, object{
				"name": strings.Trim(seg, "{}"), "in": "path", "required": true, "schema": object{"type": "string"},
			})
		}
	}
	return params
}

// listOf returns a value whose type is a slice of v's.
func listOf(v any) any { return reflect.Zero(reflect.SliceOf(reflect.TypeOf(v))).Interface() }

// schemas builds JSON schemas of Go types as encoding/json writes them.
type schemas struct{ components object }

func newSchemas() *schemas {
	return &schemas{components: object{"Error": object{
		"type":        "object",
		"description": "Why a request was refused: every violation, named.",
		"properties":  object{"error": object{"type": "string", "description": "Field, value and what was expected, of each violation."}},
		"required":    []string{"error"},
	}}}
}

func (s *schemas) errorReply(doc string) object {
	return object{"description": doc, "content": object{
		mediaJSON: object{"schema": object{"$ref": "#/components/schemas/Error"}},
	}}
}

// inputs are the types read from requests; as answers they are views.
var inputs = map[reflect.Type]string{
	reflect.TypeFor[catalog.Zone]():    "ZoneInput",
	reflect.TypeFor[catalog.Cluster](): "ClusterInput",
	reflect.TypeFor[catalog.Policy]():  "PolicyInput",
	reflect.TypeFor[catalog.Bucket]():  "BucketInput",
	reflect.TypeFor[catalog.Key]():     "KeyInput",
}

// of returns a new schema of a type; structs become references to components.
func (s *schemas) of(t reflect.Type) object {
	if own, ok := ownSchema(t); ok {
		return own
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Struct:
		name := s.component(t)
		return object{"$ref": "#/components/schemas/" + name}
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Interface:
		return object{}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	default:
		panic("admin: the API has a value of type " + t.String() + ", which has no schema")
	}
}

// component registers a struct's schema and returns its name.
func (s *schemas) component(t reflect.Type) string {
	name, isInput := inputs[t]
	if !isInput {
		name = strings.TrimSuffix(t.Name(), "View")
		name = strings.ToUpper(name[:1]) + name[1:]
	}
	if s.components[name] != nil {
		return name
	}
	props, required := object{}, []string{}
	schema := object{"type": "object", "properties": props}
	s.components[name] = schema
	s.fields(t, props, &required)
	if isInput {
		props["origin"] = object{"description": "Accepted and ignored, so that what was read can be sent back."}
		props["status"] = object{"description": "Accepted and ignored, so that what was read can be sent back."}
		schema["additionalProperties"] = false
	} else {
		schema["required"] = required
	}
	return name
}

// fields adds a struct's fields, those of embedded structs as its own.
func (s *schemas) fields(t reflect.Type, props object, required *[]string) {
	for f := range fieldsOf(t) {
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && tag == "" {
			embedded := f.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			s.fields(embedded, props, required)
			continue
		}
		schema := s.of(f.Type)
		optional := options == "omitempty" || options == "omitzero"
		if f.Type.Kind() == reflect.Pointer && !optional {
			schema = object{"anyOf": []object{schema, {"type": "null"}}}
		}
		if values := stateNames[t.Name()+"."+tag]; values != nil {
			schema["enum"] = values
		}
		if doc := fieldDocs()[t.String()+"."+f.Name]; doc != "" {
			schema["description"] = doc
		}
		props[tag] = schema
		if !optional {
			*required = append(*required, tag)
		}
	}
}

//go:embed fielddocs.json
var fieldDocsJSON []byte

// fieldDocs holds the doc comments of the fields that the API shows, by Go type and
// field. A test keeps the file what the source says.
var fieldDocs = sync.OnceValue(func() map[string]string {
	docs := make(map[string]string)
	if err := json.Unmarshal(fieldDocsJSON, &docs); err != nil {
		panic("admin: fielddocs.json: " + err.Error())
	}
	return docs
})
