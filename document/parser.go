package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fado-project/fado/catalog"
)

// parser reads one document.
type parser struct {
	problems
	doc  *Document
	at   map[id]string // paths of what was declared
	gone map[id]bool   // what "delete" names
}

const wantFields = "a known field: fado, zones, clusters, policies, buckets, delete, prune"

// document reads the whole.
func (p *parser) document(body []byte) {
	raw, ok := p.object(body)
	if !ok {
		return
	}
	version := json.RawMessage(nil)
	for _, m := range p.unique("", raw) {
		kind := kindOf(m.name)
		switch {
		case p.full():
			return
		case kind != "":
			p.items(kind, m)
		case m.name == "fado":
			version = m.value
		case m.name == "delete":
			p.deletions(m.value)
		case m.name == "prune":
			p.prune(m.value)
		default:
			p.add(m.name, m.name, wantFields)
		}
	}
	for _, d := range p.doc.Deletes {
		if at, declared := p.at[id{d.Kind, d.Name}]; declared {
			p.add(d.Path, d.Name, "a name that the document does not declare: "+at+" has it")
		}
	}
	if string(version) != strconv.Itoa(Version) {
		p.add("fado", shown(version), "1, the version of the language")
	}
}

// object checks that the body is one JSON object and nothing else.
func (p *parser) object(body []byte) (json.RawMessage, bool) {
	const want = "one JSON object"
	body = bytes.TrimPrefix(body, []byte("\ufeff")) // a byte order mark (RFC 8259, section 8.1)
	if !utf8.Valid(body) {
		p.add("document", "not UTF-8", want+" in UTF-8")
		return nil, false
	}
	var raw json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		where := err.Error()
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			where = fmt.Sprintf("at byte %d: %s", syntax.Offset, where)
		}
		p.add("document", where, want)
		return nil, false
	}
	if raw[0] != '{' {
		p.add("document", shown(raw), want)
		return nil, false
	}
	return raw, true
}

// member of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// unique returns the members of an object once each and notes those repeated.
func (p *parser) unique(path string, object json.RawMessage) (once []member) {
	seen := make(map[string]bool)
	dec := json.NewDecoder(bytes.NewReader(object))
	_, _ = dec.Token() // the opening brace: the caller has looked
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return once
		}
		m := member{name: name.(string)}
		if dec.Decode(&m.value) != nil {
			return once
		}
		if seen[m.name] {
			p.add(below(path, m.name), shown(m.value), "the field only once")
			continue
		}
		seen[m.name] = true
		once = append(once, m)
	}
	return once
}

// items reads the items of one collection.
func (p *parser) items(kind catalog.Kind, m member) {
	for i, raw := range p.array(m.name, m.value) {
		if p.full() {
			return
		}
		path := m.name + "[" + strconv.Itoa(i) + "]"
		r, wrong := catalog.DecodePart(kind, raw, path)
		if wrong != nil {
			p.append(wrong...)
			continue
		}
		p.declare(path, r)
	}
}

func (p *parser) declare(path string, r catalog.Resource) {
	if first, twice := p.at[idOf(r)]; twice {
		p.add(path+".name", r.ResourceName(), "a name that is declared once: "+first+" has it")
		return
	}
	p.at[idOf(r)] = path
	p.doc.Items = append(p.doc.Items, Item{Path: path, Resource: r})
}

// array returns the items of an array; null is an empty one.
func (p *parser) array(path string, raw json.RawMessage) (items []json.RawMessage) {
	if string(raw) != "null" && json.Unmarshal(raw, &items) != nil {
		p.add(path, shown(raw), "an array")
	}
	return items
}

// deletions reads the member "delete".
func (p *parser) deletions(raw json.RawMessage) {
	if string(raw) == "null" {
		return
	}
	if raw[0] != '{' {
		p.add("delete", shown(raw), "an object with the fields zones, clusters, policies and buckets")
		return
	}
	for _, m := range p.unique("delete", raw) {
		kind := kindOf(m.name)
		if kind == "" {
			p.add("delete."+m.name, m.name, "a known field: zones, clusters, policies, buckets")
			continue
		}
		for i, raw := range p.array("delete."+m.name, m.value) {
			p.deletion(fmt.Sprintf("delete.%s[%d]", m.name, i), kind, raw)
		}
	}
}

func (p *parser) deletion(path string, kind catalog.Kind, raw json.RawMessage) {
	var name string
	if json.Unmarshal(raw, &name) != nil || name == "" {
		p.add(path, shown(raw), "the name of a "+string(kind))
		return
	}
	if p.gone[id{kind, name}] {
		p.add(path, name, "every name only once")
		return
	}
	p.gone[id{kind, name}] = true
	p.doc.Deletes = append(p.doc.Deletes, Deletion{Path: path, Kind: kind, Name: name})
}

func (p *parser) prune(raw json.RawMessage) {
	switch string(raw) {
	case "null", "false":
	case "true":
		p.doc.Prune = true
	default:
		p.add("prune", shown(raw), "true or false")
	}
}

// kindOf returns the kind that a member of a document is for, "" for none.
func kindOf(name string) catalog.Kind {
	for kind, m := range members {
		if m == name {
			return kind
		}
	}
	return ""
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// shown is a JSON value as errors show it: what has parts without what is in them.
func shown(raw json.RawMessage) string {
	switch {
	case len(raw) == 0:
		return "nothing"
	case raw[0] == '{':
		return "{…}"
	case raw[0] == '[':
		return "[…]"
	case len(raw) > 100:
		return strings.ToValidUTF8(string(raw[:100]), "") + "…"
	default:
		return strings.Trim(string(raw), `"`)
	}
}
