package wire

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"

	"github.com/fado-project/fado/s3gateway/internal/s3err"
)

// Namespace of S3's documents.
const Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// Bounds of bodies that are parsed.
const (
	MaxSmallXML    = 64 << 10 // settings and tags
	MaxDeleteXML   = 4 << 20  // 1,000 keys of 1,024 bytes, escaped
	MaxCompleteXML = 4 << 20  // 10,000 parts
	maxDepth       = 8        // of elements
	maxAnswerDepth = 32       // of elements in answers of storages, which may have some of their own
)

// IsError reports whether a document is an error, whatever the status of its answer.
func IsError(b []byte) bool {
	for d := xml.NewDecoder(bytes.NewReader(b)); ; {
		t, err := d.RawToken()
		if err != nil {
			return false
		}
		if root, ok := t.(xml.StartElement); ok {
			return root.Name.Local == "Error"
		}
	}
}

// ParseXML decodes one document. S3 takes documents with and without its namespace.
func ParseXML(b []byte, into any) error {
	if err := CheckDepth(b); err != nil {
		return s3err.MalformedXML(err)
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(into); err != nil {
		return s3err.MalformedXML(err)
	}
	if err := checkEnd(d); err != nil {
		return s3err.MalformedXML(err)
	}
	return nil
}

// checkEnd wants nothing after a document but what may be there: white space, comments and
// processing instructions (XML 1.0, "Misc").
func checkEnd(d *xml.Decoder) error {
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.Comment, xml.ProcInst:
			continue
		case xml.CharData:
			if len(bytes.TrimSpace(t)) == 0 {
				continue
			}
		}
		return errors.New("something follows the document")
	}
}

// CheckDepth refuses documents that nest deeper than any of S3's, and those with a DTD: their
// entities could be bombs.
func CheckDepth(b []byte) error {
	d := xml.NewDecoder(bytes.NewReader(b))
	for depth := 0; ; {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch t.(type) {
		case xml.StartElement:
			if depth++; depth > maxDepth {
				return fmt.Errorf("more than %d levels", maxDepth)
			}
		case xml.EndElement:
			depth--
		case xml.Directive:
			return errors.New("a document type is declared")
		}
	}
}

// RewriteXML copies a document and replaces the text of elements by their paths, such as
// "ListPartsResult/Bucket". Elements that are not named pass as they are. A document that nests deeper
// than any answer is refused: what it takes grows with the square of its depth.
func RewriteXML(doc []byte, text map[string]func(string) string) ([]byte, error) {
	d := xml.NewDecoder(bytes.NewReader(doc))
	var out bytes.Buffer
	var path []string
	at := func() string {
		var b bytes.Buffer
		for i, p := range path {
			if i > 0 {
				b.WriteByte('/')
			}
			b.WriteString(p)
		}
		return b.String()
	}
	for {
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return out.Bytes(), nil
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if path = append(path, t.Name.Local); len(path) > maxAnswerDepth {
				return nil, fmt.Errorf("more than %d levels", maxAnswerDepth)
			}
			writeStart(&out, t)
			if f := text[at()]; f != nil {
				err := replaceText(d, &out, f)
				path = path[:len(path)-1]
				if err != nil {
					return nil, err
				}
			}
		case xml.EndElement:
			path = path[:max(0, len(path)-1)]
			fmt.Fprintf(&out, "</%s>", rawName(t.Name))
		case xml.CharData:
			if len(path) > 0 { // around the document there is only white space
				writeText(&out, t)
			}
		case xml.ProcInst:
			fmt.Fprintf(&out, "<?%s %s?>\n", t.Target, t.Inst)
		}
	}
}

// writeText escapes what has to be: clients read documents by other means than XML, too.
func writeText(out *bytes.Buffer, text []byte) {
	for _, b := range text {
		switch b {
		case '&':
			out.WriteString("&amp;")
		case '<':
			out.WriteString("&lt;")
		case '>':
			out.WriteString("&gt;")
		case '\r':
			out.WriteString("&#xD;")
		default:
			out.WriteByte(b)
		}
	}
}

func rawName(n xml.Name) string {
	if n.Space != "" {
		return n.Space + ":" + n.Local
	}
	return n.Local
}

func writeStart(out *bytes.Buffer, t xml.StartElement) {
	fmt.Fprintf(out, "<%s", rawName(t.Name))
	for _, a := range t.Attr {
		fmt.Fprintf(out, " %s=\"", rawName(a.Name))
		_ = xml.EscapeText(out, []byte(a.Value))
		out.WriteByte('"')
	}
	out.WriteByte('>')
}

// replaceText replaces the text of the element that was begun, and ends it.
func replaceText(d *xml.Decoder, out *bytes.Buffer, f func(string) string) error {
	var text []byte
	for {
		t, err := d.RawToken()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.CharData:
			text = append(text, t...)
		case xml.EndElement:
			writeText(out, []byte(f(string(text))))
			fmt.Fprintf(out, "</%s>", rawName(t.Name))
			return nil
		case xml.StartElement:
			return errors.New("an element where text was expected")
		}
	}
}
