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

const secretPath = "storage.secret_key"

// fields returns how a resource differs from what there is (nil for nothing), secrets
// hidden.
func (c *Comparison) fields(now, next catalog.Resource) (out []Field) {
	diff("", c.shown(now), c.shown(next), &out)
	if secretOf(now) != secretOf(next) && !slices.ContainsFunc(out, func(f Field) bool { return f.Path == secretPath }) {
		hidden := json.RawMessage(`"***"`) // both are: the difference is in what is hidden
		out = append(out, Field{Path: secretPath, From: hidden, To: hidden})
	}
	return out
}

func secretOf(r catalog.Resource) string {
	if cl, ok := r.(*catalog.Cluster); ok && cl.Storage != nil {
		return cl.Storage.SecretKey
	}
	return ""
}

// shown returns a resource as JSON values, as clients see it. The order of a bucket's
// prefix rules means nothing, so they are sorted.
func (c *Comparison) shown(r catalog.Resource) any {
	if r == nil {
		return nil
	}
	r = r.Clone()
	if c.base.Redact != nil {
		c.base.Redact(r)
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
