package document

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/fado-project/fado/catalog"
)

// Field is one field that differs. From and To are its values in JSON, nil where it is not
// there.
type Field struct {
	Path     string
	From, To json.RawMessage
}

// hidden stands for both values of a field that differs in what is secret.
var hidden = json.RawMessage(`"***"`)

// fields returns how a resource differs from what there is (nil for nothing), secrets
// hidden. Of the resources in documents only clusters have any.
func (c *Comparison) fields(now, next catalog.Resource) (out []Field) {
	diff("", values(now, c.base.Redact), values(next, c.base.Redact), &out)
	if _, ok := next.(*catalog.Cluster); !ok || c.base.Redact == nil {
		return out
	}
	var all []Field
	diff("", values(now, nil), values(next, nil), &all)
	for _, f := range all {
		if !slices.ContainsFunc(out, func(o Field) bool { return o.Path == f.Path }) {
			out = append(out, Field{Path: f.Path, From: hidden, To: hidden})
		}
	}
	return out
}

// values returns a resource as JSON values; redact, where it is not nil, makes it what clients see. The
// order of a bucket's prefix rules means nothing, so they are sorted.
func values(r catalog.Resource, redact func(catalog.Resource)) any {
	if r == nil {
		return nil
	}
	r = r.Clone()
	if redact != nil {
		redact(r)
	}
	if b, ok := r.(*catalog.Bucket); ok {
		slices.SortFunc(b.Prefixes, func(a, b catalog.PrefixRule) int { return bytes.Compare([]byte(a.Prefix), []byte(b.Prefix)) })
	}
	body, err := catalog.EncodeResource(r)
	if err != nil {
		return nil // a balance that is no JSON, which validation refuses
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v map[string]any
	if dec.Decode(&v) != nil {
		return nil
	}
	delete(v, "name")
	return v
}

// diff notes the leaves in which two JSON values differ.
func diff(path string, a, b any, out *[]Field) {
	am, aObject := a.(map[string]any)
	bm, bObject := b.(map[string]any)
	if (aObject || a == nil) && (bObject || b == nil) && (len(am) > 0 || len(bm) > 0) {
		names := maps.Clone(am)
		if names == nil {
			names = make(map[string]any)
		}
		maps.Copy(names, bm)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			diff(below(path, name), am[name], bm[name], out)
		}
		return
	}
	al, aList := a.([]any)
	bl, bList := b.([]any)
	if aList && bList && len(al) == len(bl) && objects(al) && objects(bl) {
		for i := range al {
			diff(path+"["+strconv.Itoa(i)+"]", al[i], bl[i], out)
		}
		return
	}
	if !reflect.DeepEqual(a, b) && !(a == nil && isEmpty(b)) {
		*out = append(*out, Field{Path: path, From: raw(a), To: raw(b)})
	}
}

func isEmpty(v any) bool {
	l, isList := v.([]any)
	m, isObject := v.(map[string]any)
	return isList && len(l) == 0 || isObject && len(m) == 0
}

// objects says that a list holds nothing but objects.
func objects(list []any) bool {
	return !slices.ContainsFunc(list, func(v any) bool { _, ok := v.(map[string]any); return !ok })
}

func raw(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // it was decoded from JSON
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
