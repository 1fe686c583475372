package catalog

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// DecodeResource reads a resource from JSON, strictly: member names are matched to
// the letter, and unknown or repeated members, values of the wrong type and anything
// behind the object are refused. The members "origin" and "status", which the API
// adds when it answers, are accepted and ignored, so that what was read can be
// written back. The result is normalized; null is the same as leaving a member out.
//
// The error is a *ValidationError that names everything that is wrong with the body
// by itself; references are [ValidateResource]'s business, once the body decodes.
func DecodeResource(k Kind, body []byte) (Resource, error) {
	r, d, err := decode(k, body)
	if err != nil || len(d.out) == 0 {
		return r, err
	}
	if !d.wrong["body"] {
		for _, v := range check(r, nil) {
			if v.Field != "name" || v.Value != "" { // a caller may know the name from elsewhere
				d.addUnlessCovered(v)
			}
		}
	}
	return nil, newValidationError(k, d.name, d.out)
}

// DecodeNamed is DecodeResource for a resource whose name is known from elsewhere; name
// is "" where the body has to tell it. Where something is wrong with the body, what did
// decode is held against what is declared as well, so that one answer names everything.
// A body without a fault still has to pass [ValidateResource].
func DecodeNamed(k Kind, body []byte, name string, in Lookup) (Resource, error) {
	r, d, err := decode(k, body)
	if err != nil {
		return nil, err
	}
	if name != "" && !d.wrong["body"] {
		if d.name != "" && d.name != name {
			d.bad("name", d.name, strconv.Quote(name)+", which it is addressed by, or none")
		}
		setName(r, name)
	}
	if len(d.out) == 0 {
		return r, nil
	}
	if !d.wrong["body"] {
		for _, v := range check(r, in) {
			d.addUnlessCovered(v)
		}
	}
	return nil, newValidationError(k, cmp.Or(name, d.name), d.out)
}

// decode reads a body as far as it can be read; what is wrong with it is in the decoder.
func decode(k Kind, body []byte) (Resource, *decoder, error) {
	r := NewResource(k)
	if r == nil {
		return nil, nil, fmt.Errorf("decoding a resource: %q is no kind of resource", k)
	}
	d := &decoder{wrong: make(map[string]bool)}
	if raw, ok := d.object(body); ok {
		d.structure("", raw, reflect.ValueOf(r).Elem(), true)
		r.Normalize()
	}
	if d.full() {
		d.out = d.out[:maxViolations]
		d.bad("body", "…", fmt.Sprintf("fewer than %d violations: reading ended there", maxViolations))
	}
	return r, d, nil
}

func setName(r Resource, name string) {
	switch r := r.(type) {
	case *Zone:
		r.Name = name
	case *Cluster:
		r.Name = name
	case *Policy:
		r.Name = name
	case *Bucket:
		r.Name = name
	case *Key:
		r.Name = name
	}
}

// EncodeResource writes a resource in its canonical form: equal resources give equal
// bytes, and DecodeResource reads them back to an equal resource. It fails only on a
// Balance that isn't JSON, which validation refuses.
func EncodeResource(r Resource) (json.RawMessage, error) {
	r = r.Clone()
	r.Normalize()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	// A balance object is kept as it was written.
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, fmt.Errorf("encoding %s %s: %w", r.ResourceKind(), r.ResourceName(), err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// refusesZero holds the members where zero, if it were let through, would silently
// become the default, with what is expected instead.
var refusesZero = map[string]string{
	"weight":       wantWeight,
	"pull_timeout": wantPositive,
	"pull_ttl":     wantPositive,
	"spread":       wantSpread,
	"writes":       wantWrites,
	"versions":     wantVersions,
	"on_miss":      wantOnMiss,
}

// isSecret says that a member's value must not be shown.
func isSecret(member string) bool {
	switch member {
	case "access_key", "secret_key", "secret", "session_token", "value":
		return true
	}
	return false
}

// decoder fills a resource in from JSON and collects what is wrong on the way.
type decoder struct {
	violations
	name  string          // that the object gives itself
	wrong map[string]bool // paths of the values that could not be read
}

func (d *decoder) bad(path, value, expected string) {
	d.wrong[path] = true
	d.add(path, value, expected)
}

// mismatch notes a value of the wrong JSON type. Objects and arrays are not shown:
// what is in them may be secret.
func (d *decoder) mismatch(path string, raw json.RawMessage, want string) {
	d.bad(path, shown(path, raw), want+", not "+jsonType(raw))
}

// object checks that body is one JSON object and nothing else.
func (d *decoder) object(body []byte) (json.RawMessage, bool) {
	const want = "one JSON object"
	if !utf8.Valid(body) {
		d.bad("body", "not UTF-8", want+" in UTF-8")
		return nil, false
	}
	var raw json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		where := err.Error()
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			where = fmt.Sprintf("at byte %d: %s", syntax.Offset, where)
		}
		d.bad("body", where, want)
		return nil, false
	}
	if raw[0] != '{' {
		d.bad("body", jsonType(raw), want)
		return nil, false
	}
	return raw, true
}

// member of a JSON object, in the order written.
type member struct {
	name  string
	value json.RawMessage
}

// members yields those of a valid JSON object, repeated ones included, which
// encoding/json would merge silently.
func members(object json.RawMessage) iter.Seq[member] {
	return func(yield func(member) bool) {
		dec := json.NewDecoder(bytes.NewReader(object))
		_, _ = dec.Token() // the opening brace: the caller has looked
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				return
			}
			m := member{name: name.(string)}
			if dec.Decode(&m.value) != nil || !yield(m) {
				return
			}
		}
	}
}

// unique yields the members of an object once each and notes those repeated.
func (d *decoder) unique(path string, object json.RawMessage) iter.Seq[member] {
	return func(yield func(member) bool) {
		seen := make(map[string]bool)
		for m := range members(object) {
			switch at := below(path, m.name); {
			case d.full():
				return
			case seen[m.name]:
				d.bad(at, shown(at, m.value), "the field only once")
			default:
				seen[m.name] = true
				if !yield(m) {
					return
				}
			}
		}
	}
}

// structure fills a struct in from an object.
func (d *decoder) structure(path string, object json.RawMessage, v reflect.Value, top bool) {
	for m := range d.unique(path, object) {
		if top && (m.name == "origin" || m.name == "status") {
			continue
		}
		if top && m.name == "name" && m.value[0] == '"' {
			d.name = stringOf(m.value)
		}
		field, ok := fieldOf(v, m.name)
		if !ok {
			d.add(path, m.name, "a known field: "+strings.Join(fieldNames(v.Type()), ", "))
			continue
		}
		if string(m.value) == "null" {
			continue
		}
		at, before := below(path, m.name), len(d.out)
		d.value(at, m.value, field)
		if want, refused := refusesZero[m.name]; refused && field.IsZero() && len(d.out) == before {
			d.bad(at, shown(at, m.value), want)
		}
	}
}

// value fills one value in from JSON.
func (d *decoder) value(path string, raw json.RawMessage, v reflect.Value) {
	if u, ok := reflect.TypeAssert[json.Unmarshaler](v.Addr()); ok {
		if u.UnmarshalJSON(raw) != nil {
			d.bad(path, shown(path, raw), wantOf(u))
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(path, raw, v.Elem())
	case reflect.Struct:
		if d.is('{', path, raw, "an object") {
			d.structure(path, raw, v, false)
		}
	case reflect.Slice:
		if d.is('[', path, raw, "an array") {
			d.slice(path, raw, v)
		}
	case reflect.Map:
		if d.is('{', path, raw, "an object") {
			d.stringMap(path, raw, v)
		}
	case reflect.String:
		if d.is('"', path, raw, "a string") {
			v.SetString(stringOf(raw))
		}
	case reflect.Bool:
		if jsonType(raw) != "true or false" {
			d.mismatch(path, raw, "true or false")
			return
		}
		v.SetBool(raw[0] == 't')
	case reflect.Int:
		d.integer(path, raw, v)
	case reflect.Float64:
		d.number(path, raw, v)
	default:
		panic("catalog: a resource has a field of type " + v.Type().String() + ", which DecodeResource can't read")
	}
}

// is says whether a value begins as a JSON type does, and notes it if not.
func (d *decoder) is(begin byte, path string, raw json.RawMessage, want string) bool {
	if raw[0] != begin {
		d.mismatch(path, raw, want)
		return false
	}
	return true
}

func (d *decoder) integer(path string, raw json.RawMessage, v reflect.Value) {
	n, err := strconv.Atoi(string(raw))
	switch {
	case jsonType(raw) != "a number":
		d.mismatch(path, raw, "a whole number")
	case err != nil:
		d.bad(path, shown(path, raw), "a whole number")
	default:
		v.SetInt(int64(n))
	}
}

func (d *decoder) number(path string, raw json.RawMessage, v reflect.Value) {
	if jsonType(raw) != "a number" {
		d.mismatch(path, raw, "a number")
		return
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		d.bad(path, shown(path, raw), "a number below 10^308")
		return
	}
	v.SetFloat(f)
}

func (d *decoder) slice(path string, array json.RawMessage, v reflect.Value) {
	var items []json.RawMessage
	if err := json.Unmarshal(array, &items); err != nil {
		d.mismatch(path, array, "an array")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, item := range items {
		if d.full() {
			return
		}
		d.value(path+"["+strconv.Itoa(i)+"]", item, v.Index(i))
	}
}

func (d *decoder) stringMap(path string, object json.RawMessage, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	for m := range d.unique(path, object) {
		if at := below(path, m.name); d.is('"', at, m.value, "a string") {
			v.SetMapIndex(reflect.ValueOf(m.name), reflect.ValueOf(stringOf(m.value)))
		}
	}
}

// addUnlessCovered adds what validation finds wrong with a value that did decode.
func (d *decoder) addUnlessCovered(v Violation) {
	if !d.covers(v.Field) {
		d.out = append(d.out, v)
	}
}

// covers says whether a field, or something it is in, could not be read.
func (d *decoder) covers(field string) bool {
	for path := field; path != ""; path = path[:max(0, strings.LastIndexAny(path, ".["))] {
		if d.wrong[path] {
			return true
		}
	}
	return false
}

func stringOf(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s) // raw is a valid JSON string
	return s
}

// shown returns a JSON value as errors show it: scalars as they are, secrets and
// everything that has parts without what is in them.
func shown(path string, raw json.RawMessage) string {
	switch {
	case isSecret(path[strings.LastIndexByte(path, '.')+1:]):
		return "***"
	case raw[0] == '{':
		return "{…}"
	case raw[0] == '[':
		return "[…]"
	case raw[0] == '"':
		return redactURL(stringOf(raw))
	default:
		return string(raw)
	}
}

// jsonType names the type of a JSON value in words.
func jsonType(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

// wantOf says what a value that reads itself expects.
func wantOf(u json.Unmarshaler) string {
	switch u.(type) {
	case *Copies:
		return wantCopies
	case *Size:
		return wantSize
	case *Duration:
		return wantDuration
	case *time.Time:
		return wantTime
	default:
		return "a JSON object"
	}
}

// fieldOf finds the field of a struct that has a JSON name.
func fieldOf(v reflect.Value, name string) (reflect.Value, bool) {
	for i, n := range fieldNames(v.Type()) {
		if n == name && n != "" {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// fieldNames returns the JSON names of a struct's fields, in order.
func fieldNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}
