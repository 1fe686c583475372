package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxYAMLValues bounds what a document in YAML may hold: each value takes some 200 bytes
// while it is read, where JSON takes none.
const maxYAMLValues = 2_000_000

// fromYAML returns a document in YAML as JSON; nil if it is none. What JSON can't say is
// noted.
func (p *parser) fromYAML(body []byte) []byte {
	const want = "one YAML document"
	// Every value stands behind one of these: the most there can be is known before any is read.
	values := 0
	for _, mark := range []string{"\n", ",", ":", "[", "{", "- "} {
		values += bytes.Count(body, []byte(mark))
	}
	if values > maxYAMLValues {
		p.add("document", fmt.Sprintf("up to %d values", values), fmt.Sprintf("at most %d values in YAML; JSON has no such bound", maxYAMLValues))
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(body))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("empty")
		}
		p.add("document", strings.TrimPrefix(err.Error(), "yaml: "), want)
		return nil
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		p.add("document", "more behind the first document", want)
		return nil
	}
	c := &converter{problems: &p.problems}
	c.node("", doc.Content[0])
	return c.out.Bytes()
}

// converter writes YAML as JSON.
type converter struct {
	*problems
	out bytes.Buffer
}

// node writes one value, null for what JSON can't say.
func (c *converter) node(path string, n *yaml.Node) {
	if !c.plain(path, n) {
		c.out.WriteString("null")
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		c.mapping(path, n)
	case yaml.SequenceNode:
		c.out.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				c.out.WriteByte(',')
			}
			c.node(path+"["+strconv.Itoa(i)+"]", item)
		}
		c.out.WriteByte(']')
	default:
		c.scalar(path, n)
	}
}

// plain notes what makes a value more than JSON can say.
func (c *converter) plain(path string, n *yaml.Node) bool {
	var found string
	switch {
	case n.Kind == yaml.AliasNode:
		found = "*" + n.Value
	case n.Anchor != "":
		found = "&" + n.Anchor
	case n.Style&yaml.TaggedStyle != 0:
		found = n.Tag
	default:
		return true
	}
	c.add(at(path, n), found, "a value without anchors, aliases and tags")
	return false
}

// at names a place in a document.
func at(path string, n *yaml.Node) string {
	if path == "" {
		path = "document"
	}
	return path + " (line " + strconv.Itoa(n.Line) + ")"
}

func (c *converter) mapping(path string, n *yaml.Node) {
	c.out.WriteByte('{')
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if i > 0 {
			c.out.WriteByte(',')
		}
		if key.Kind != yaml.ScalarNode || key.Anchor != "" || key.ShortTag() != "!!str" {
			c.add(at(path, key), key.Value, "a field's name")
		}
		c.text(key.Value)
		c.out.WriteByte(':')
		c.node(below(path, key.Value), n.Content[i+1])
	}
	c.out.WriteByte('}')
}

func (c *converter) scalar(path string, n *yaml.Node) {
	switch n.ShortTag() {
	case "!!null":
		c.out.WriteString("null")
	case "!!bool":
		c.out.WriteString(strconv.FormatBool(strings.EqualFold(n.Value, "true")))
	case "!!int", "!!float":
		c.number(path, n)
	default: // text, and what looks like a time
		c.text(n.Value)
	}
}

// number writes a number in JSON's form.
func (c *converter) number(path string, n *yaml.Node) {
	if json.Valid([]byte(n.Value)) {
		c.out.WriteString(n.Value)
		return
	}
	var v any
	text, err := []byte(nil), n.Decode(&v)
	if err == nil {
		text, err = json.Marshal(v)
	}
	if err != nil {
		c.add(at(path, n), n.Value, "a number that JSON has")
		text = []byte("null")
	}
	c.out.Write(text)
}

func (c *converter) text(s string) {
	text, _ := json.Marshal(s) // text always encodes
	c.out.Write(text)
}
