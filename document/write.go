package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/fado-project/fado/catalog"
)

// Writer writes a catalogue as a document in its canonical form: the same resources give the
// same bytes. It holds one item at a time.
type Writer struct {
	w      io.Writer
	format Format
	kind   catalog.Kind
	begun  bool // the document
	items  bool // of the kind
	err    error
}

// NewWriter returns a writer of one document.
func NewWriter(w io.Writer, f Format) *Writer { return &Writer{w: w, format: f} }

// Item writes a resource. The kinds come in the order of [Kinds], and names within a kind
// sorted. Secrets are written as they are.
func (w *Writer) Item(r catalog.Resource) error {
	w.reach(r.ResourceKind())
	body, err := catalog.EncodeResource(r)
	if err != nil {
		return err
	}
	if w.format == YAML {
		w.yamlItem(body)
	} else {
		w.jsonItem(body)
	}
	w.items = true
	return w.err
}

// Close ends the document.
func (w *Writer) Close() error {
	w.reach("")
	if w.format == JSON {
		w.print("\n}\n")
	}
	return w.err
}

// reach ends the collections before that of a kind, all of them with "", and begins that.
func (w *Writer) reach(kind catalog.Kind) {
	if w.begun && kind == w.kind {
		return
	}
	for _, k := range w.until(kind) {
		w.end()
		w.begin(k)
	}
	if kind == "" {
		w.end()
	}
}

// until returns the kinds that come after the present one, up to a kind.
func (w *Writer) until(kind catalog.Kind) (next []catalog.Kind) {
	after := w.kind == ""
	for _, k := range Kinds {
		if after {
			next = append(next, k)
		}
		if k == kind {
			break
		}
		after = after || k == w.kind
	}
	return next
}

func (w *Writer) begin(k catalog.Kind) {
	if !w.begun {
		w.begun = true
		if w.format == YAML {
			w.print("fado: 1\n")
		} else {
			w.print("{\n  \"fado\": 1")
		}
	}
	w.kind, w.items = k, false
	if w.format == YAML {
		w.print(members[k] + ":")
	} else {
		w.print(",\n  \"" + members[k] + "\": [")
	}
}

// end ends the collection that was begun, if any.
func (w *Writer) end() {
	switch {
	case w.kind == "":
	case w.format == YAML && !w.items:
		w.print(" []\n")
	case w.format == YAML:
	case w.items:
		w.print("\n  ]")
	default:
		w.print("]")
	}
}

func (w *Writer) jsonItem(body json.RawMessage) {
	var buf bytes.Buffer
	if w.items {
		buf.WriteByte(',')
	}
	buf.WriteString("\n    ")
	if err := json.Indent(&buf, body, "    ", "  "); err != nil {
		w.fail(err)
		return
	}
	w.print(buf.String())
}

func (w *Writer) yamlItem(body json.RawMessage) {
	if !w.items {
		w.print("\n")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	item, err := yamlNode(dec)
	if err != nil {
		w.fail(err)
		return
	}
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	list := &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{item}}
	if err := enc.Encode(list); err != nil {
		w.fail(err)
		return
	}
	w.print(buf.String())
}

// yamlNode reads the next JSON value.
func yamlNode(dec *json.Decoder) (*yaml.Node, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	n := new(yaml.Node)
	switch v := tok.(type) {
	case json.Delim:
		if n.Kind = yaml.SequenceNode; v == '{' {
			n.Kind = yaml.MappingNode
		}
		for dec.More() { // names and values alike
			item, err := yamlNode(dec)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, item)
		}
		if _, err := dec.Token(); err != nil {
			return nil, err
		}
		if len(n.Content) == 0 {
			n.Style = yaml.FlowStyle
		}
	case string:
		n.SetString(v)
		if v == "<<" || strings.ContainsFunc(v, func(r rune) bool { return !unicode.IsPrint(r) }) {
			n.Style = yaml.DoubleQuotedStyle // it would be a merge; a block may lose some of it
		}
	default: // a number, true, false or null
		n.Kind, n.Value = yaml.ScalarNode, fmt.Sprint(v)
		if v == nil {
			n.Value = "null"
		}
	}
	return n, nil
}

func (w *Writer) print(s string) {
	if w.err == nil {
		_, w.err = io.WriteString(w.w, s)
	}
}

func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err = fmt.Errorf("writing a document: %w", err)
	}
}
