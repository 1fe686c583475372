package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// Canonical returns JSON in the form of RFC 8785, the JSON Canonicalization Scheme.
func Canonical(text []byte) ([]byte, error) {
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("not UTF-8: %.40q", text)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	v, err := readValue(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("more than one value in %.40q", text)
	}
	var out bytes.Buffer
	return writeCanonical(&out, v)
}

// maxDepth is how deep arrays and objects may lie in each other.
const maxDepth = 1000

// readValue reads a value. A name that stands twice in an object is refused (RFC 8785, 3.1): one
// reader would take the first of its values, and another the last.
func readValue(dec *json.Decoder, depth int) (any, error) {
	token, err := dec.Token()
	delim, nested := token.(json.Delim)
	switch {
	case err != nil, !nested:
		return token, unexpected(err)
	case depth == maxDepth:
		return nil, fmt.Errorf("more than %d arrays and objects in each other", maxDepth)
	}
	object, list := make(map[string]any), []any{}
	for dec.More() {
		name := ""
		if delim == '{' {
			key, err := dec.Token()
			if err != nil {
				return nil, unexpected(err)
			}
			name = key.(string)
			if _, twice := object[name]; twice {
				return nil, fmt.Errorf("%q stands twice in an object", name)
			}
		}
		v, err := readValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		if delim == '{' {
			object[name] = v
		} else {
			list = append(list, v)
		}
	}
	if _, err := dec.Token(); err != nil { // the end
		return nil, unexpected(err)
	}
	if delim == '{' {
		return object, nil
	}
	return list, nil
}

// unexpected is the end of a text where more of a value should come.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func writeCanonical(out *bytes.Buffer, v any) ([]byte, error) {
	switch v := v.(type) {
	case map[string]any:
		writeObject(out, v)
	case []any:
		out.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				out.WriteByte(',')
			}
			if _, err := writeCanonical(out, item); err != nil {
				return nil, err
			}
		}
		out.WriteByte(']')
	case string:
		writeText(out, v)
	default: // null, true, false; a float64, which encoding/json writes as ECMAScript does
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		if string(text) == "-0" {
			text = []byte("0")
		}
		out.Write(text)
	}
	return out.Bytes(), nil
}

// writeObject sorts the members by the UTF-16 code units of their names (RFC 8785, 3.2.3).
func writeObject(out *bytes.Buffer, m map[string]any) {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
	})
	out.WriteByte('{')
	for i, name := range names {
		if i > 0 {
			out.WriteByte(',')
		}
		writeText(out, name)
		out.WriteByte(':')
		_, _ = writeCanonical(out, m[name]) // what was decoded is encoded
	}
	out.WriteByte('}')
}

// short are the escapes of two characters (RFC 8785, 3.2.2.2).
var short = map[rune]string{'\b': `\b`, '\t': `\t`, '\n': `\n`, '\f': `\f`, '\r': `\r`, '"': `\"`, '\\': `\\`}

func writeText(out *bytes.Buffer, s string) {
	out.WriteByte('"')
	plain := 0 // bytes of s that stand for themselves
	for plain < len(s) && s[plain] >= ' ' && s[plain] != '"' && s[plain] != '\\' && s[plain] < utf8.RuneSelf {
		plain++
	}
	out.WriteString(s[:plain])
	for _, r := range s[plain:] {
		switch esc, ok := short[r]; {
		case ok:
			out.WriteString(esc)
		case r < ' ':
			fmt.Fprintf(out, `\u%04x`, r)
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
}
