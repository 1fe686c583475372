package admin

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/admin/internal/schema"
	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
)

// apiVersion is the version of the API as its document names it.
const apiVersion = "1"

var described struct {
	once sync.Once
	json object
}

// serveOpenAPI answers with the OpenAPI document.
func serveOpenAPI(c *call) error { return c.Reply(http.StatusOK, openAPI()) }

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
		"components": object{"schemas": s.Components},
	}
}

func describeOperation(s *schema.Schemas, op operation) object {
	o := object{
		"operationId": op.name, "summary": op.summary, "x-fado-role": op.role, "responses": describeReplies(s, op),
	}
	if op.acts != nil {
		o["x-fado-audit"] = audit.Action
	} else if op.effect == effectChanges {
		o["x-fado-audit"] = audit.Change
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
		body := s.Of(reflect.TypeOf(op.request))
		_, named := op.request.(*catalog.Key) // a key gets a name
		if _, isResource := op.request.(catalog.Resource); op.method == http.MethodPost && isResource && !named {
			body["required"] = []string{"name"}
		}
		content := object{}
		for _, media := range op.requestTypes {
			content[media] = object{"schema": body}
		}
		o["requestBody"] = object{"required": true, "content": content}
	}
	return o
}

func describeReplies(s *schema.Schemas, op operation) object {
	replies := object{}
	for _, r := range op.replies {
		reply := object{"description": r.doc}
		if r.body != nil {
			media := r.media
			if media == "" {
				media = mediaJSON
			}
			content := object{media: object{"schema": s.Of(reflect.TypeOf(r.body))}}
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
		replies[strconv.Itoa(status)] = errorReply(http.StatusText(status))
	}
	replies["default"] = errorReply("Any other error.")
	return replies
}

func describeParameter(p parameter) object {
	of := object{"type": "string"}
	switch {
	case p.integer:
		of = object{"type": "integer", "minimum": 1, "maximum": request.MaxLimit}
	case p.enum != nil:
		of["enum"] = p.enum
	case p.repeated:
		of = object{"type": "array", "items": of}
	}
	return object{"name": p.name, "in": "query", "description": p.doc, "schema": of}
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

// newSchemas returns the schemas of the types that the API shows.
func newSchemas() *schema.Schemas {
	s := schema.New(schema.Options{Own: ownSchema, Inputs: inputs, Values: stateNames, Docs: fieldDocs()})
	s.Components["Error"] = object{
		"type":        "object",
		"description": "Why a request was refused: every violation, named.",
		"properties": object{
			"error":      object{"type": "string", "description": "Field, value and what was expected, of each violation."},
			"request_id": object{"type": "string", "description": "The request's ID, as in the header X-Request-Id, the log and the audit."},
		},
		"required": []string{"error"},
	}
	return s
}

func errorReply(doc string) object {
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
