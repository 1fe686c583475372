package document_test

import (
	"strings"
	"testing"

	"github.com/fado-project/fado/document"
)

// An error says where in the document something is, what was found there, shortened and without what
// may be secret, and what was expected.
func TestViolationsSayWhatWasExpected(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 200)
	for body, want := range map[string]string{
		``:                                   `document: "at byte 0: unexpected end of JSON input": expected one JSON object`,
		`{"fado":1} 7`:                       `document: "at byte 12: invalid character '7' after top-level value": expected one JSON object`,
		"{\"fado\":1,\"zones\":\"\xff\"}":    `document: "not UTF-8": expected one JSON object in UTF-8`,
		`[1]`:                                `document: "[…]": expected one JSON object`,
		`"text"`:                             `document: "text": expected one JSON object`,
		`{}`:                                 `fado: "nothing": expected 1, the version of the language`,
		`{"fado":1.0}`:                       `fado: "1.0": expected 1, the version of the language`,
		`{"fado":{"v":1}}`:                   `fado: "{…}": expected 1, the version of the language`,
		`{"fado":1,"keys":["hush"]}`:         `keys: "keys": expected a known field: fado, zones, clusters, policies, buckets, delete, prune`,
		`{"fado":1,"prune":1}`:               `prune: "1": expected true or false`,
		`{"fado":1,"zones":"` + long + `"}`:  `zones: "\"` + strings.Repeat("ü", 49) + `…": expected an array`,
		`{"fado":1,"delete":"all"}`:          `delete: "all": expected an object with the fields zones, clusters, policies and buckets`,
		`{"fado":1,"delete":{"keys":[]}}`:    `delete.keys: "keys": expected a known field: zones, clusters, policies, buckets`,
		`{"fado":1,"delete":{"zones":"eu"}}`: `delete.zones: "eu": expected an array`,
		`{"fado":1,"delete":{"clusters":[{"name":"c"},""]}}`: `delete.clusters[0]: "{…}": expected the name of a cluster; ` +
			`delete.clusters[1]: "": expected the name of a cluster`,
		`{"fado":1,"delete":{"buckets":["abc","abc"]}}`:              `delete.buckets[1]: "abc": expected every name only once`,
		`{"fado":1,"delete":{"zones":["a"]},"zones":[{"name":"a"}]}`: `delete.zones[0]: "a": expected a name that the document does not declare: zones[0] has it`,
		`{"fado":1,"zones":[{"name":"a"},{"name":"a"}]}`:             `zones[1].name: "a": expected a name that is declared once: zones[0] has it`,
		`{"fado":1,"zones":[],"zones":[{"name":"a"}]}`:               `zones: "[…]": expected the field only once`,
		`{"fado":1,"zones":[null]}`:                                  `zones[0]: "null": expected one JSON object`,
		`{"fado":1,"buckets":[{"name":"abc","secret_key":"hush"}]}`:  `buckets[0]: "secret_key": expected a known field: name, policy, primary, promote, object_lock, prefixes`,
		`{"fado":1,"clusters":[{"name":"c","zones":["z"],"storage":{"endpoint":"http://h","access_key":"a","secret_key":7}}]}`: `clusters[0].storage.secret_key: ` +
			`"***": expected a string, not a number`,
	} {
		doc, err := document.Parse([]byte(body), document.JSON)
		if err == nil || err.Error() != want || doc != nil {
			t.Errorf("%.80s\n gives %v\n  want %s", body, err, want)
		}
	}
}

// In YAML, what is said of the form names the line.
func TestViolationsOfYAMLNameTheLine(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"# nothing yet\n":                         `document: "empty": expected one YAML document`,
		"fado: 1\n---\nfado: 1\n":                 `document: "more behind the first document": expected one YAML document`,
		"fado: 1\nprune: !!bool yes\n":            `prune (line 2): "!!bool": expected a value without anchors, aliases and tags`,
		"fado: 1\ndelete:\n  zones: &z [a]\n":     `delete.zones (line 3): "&z": expected a value without anchors, aliases and tags`,
		"fado: 1\nzones:\n- name: a\n  1: b\n":    `zones[0] (line 4): "1": expected a field's name; zones[0]: "1": expected a known field: name, parent, labels`,
		"fado: 1\nzones:\n- {name: a, name: b}\n": `zones[0].name: "b": expected the field only once`,
		"fado: 1\nprune: yes\n":                   `prune: "yes": expected true or false`,
	} {
		if _, err := document.Parse([]byte(body), document.YAML); err == nil || err.Error() != want {
			t.Errorf("%s gives %v\n  want %s", body, err, want)
		}
	}
}

// Null is the same as left out.
func TestNullIsLeftOut(t *testing.T) {
	t.Parallel()
	for body, f := range map[string]document.Format{
		`{"fado":1,"zones":null,"clusters":null,"delete":null,"prune":null}`: document.JSON,
		"fado: 1\nzones:\nbuckets: ~\ndelete: null\nprune:\n":                document.YAML,
	} {
		if doc, err := document.Parse([]byte(body), f); err != nil || len(doc.Items)+len(doc.Deletes) > 0 || doc.Prune {
			t.Errorf("%s is read as %+v, %v", body, doc, err)
		}
	}
}
