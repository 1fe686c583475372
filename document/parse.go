package document

import "strconv"

// Format is how a document is written.
type Format string

// The formats.
const (
	JSON Format = "json"
	YAML Format = "yaml"
)

// Parse reads a document of at most [MaxBytes]. It is strict: unknown and repeated fields,
// values of another type, names declared twice and, in YAML, everything that JSON can't say
// (anchors, tags, several documents) are refused. The error is a *catalog.ValidationError
// that names everything that is wrong by its path in the document. References are looked at
// by [Compare].
func Parse(body []byte, f Format) (*Document, error) {
	p := &parser{doc: new(Document), at: make(map[id]string), gone: make(map[id]bool)}
	if len(body) > MaxBytes {
		p.add("document", strconv.Itoa(len(body))+" bytes", "at most 16 MiB")
		return nil, p.err()
	}
	if f == YAML {
		body = p.fromYAML(body)
	}
	if body != nil {
		p.document(body)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return p.doc, nil
}
