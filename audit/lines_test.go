package audit_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/fado-project/fado/audit"
)

// What is no record is named by its line, and the records around it are checked all the same. Blank
// lines, and how a file ends, mean nothing.
func TestLinesThatAreNoRecords(t *testing.T) {
	t.Parallel()
	records := chain(t, 3)
	text := strings.Split(strings.TrimSpace(string(lines(records))), "\n")
	for name, tc := range map[string]struct {
		text string
		want string // of the first problem; "" for none
	}{
		"as exported":          {text: strings.Join(text, "\n") + "\n"},
		"blank lines, no end":  {text: "\n" + strings.Join(text, "\n\n \n")},
		"lines from Windows":   {text: strings.Join(text, "\r\n") + "\r\n"},
		"a line of no JSON":    {text: text[0] + "\nnothing\n" + text[1] + "\n" + text[2], want: "line 2 is no record: "},
		"a field of another":   {text: text[0] + "\n" + strings.Replace(text[1], `{`, `{"more":1,`, 1) + "\n" + text[2], want: "line 2 is no record: "},
		"a field in capitals":  {text: text[0] + "\n" + strings.Replace(text[1], `"node"`, `"NODE"`, 1) + "\n" + text[2], want: "line 2 is no record: its fields"},
		"two records a line":   {text: text[0] + "\n" + text[1] + " " + text[2], want: "line 2 is no record: more than one value"},
		"a list of records":    {text: "[" + strings.Join(text, ",") + "]", want: "line 1 is no record: "},
		"half of the last one": {text: text[0] + "\n" + text[1] + "\n" + text[2][:len(text[2])/2], want: "line 3 is no record: "},
	} {
		r := verify(t, []byte(tc.text), audit.Head{})
		switch {
		case tc.want == "" && (len(r.Problems) > 0 || r.Records != 3):
			t.Errorf("%s: %+v", name, r)
		case tc.want != "" && (len(r.Problems) == 0 || !strings.HasPrefix(r.Problems[0].String(), tc.want) || r.Problems[0].Seq != 0):
			t.Errorf("%s: %v, want %q first", name, r.Problems, tc.want)
		}
	}
}

// A file that is wrong all over gives so many problems and no more, and says that there are others.
func TestProblemsAreBounded(t *testing.T) {
	t.Parallel()
	for wrong, more := range map[int]bool{999: false, 1000: true, 5000: true} { // that there is no record is one, too
		r := verify(t, bytes.Repeat([]byte("{}x\n"), wrong), audit.Head{})
		if len(r.Problems) != 1000 || r.More != more {
			t.Errorf("of %d there are %d, and others: %v", wrong, len(r.Problems), r.More)
		}
	}
}

// What can't be read is an error, and not a chain that ends there.
func TestReadingFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk broke")
	records := lines(chain(t, 5))
	r, err := audit.Verify(io.MultiReader(bytes.NewReader(records), iotest.ErrReader(broken)), audit.Head{}, nil)
	if r != nil || !errors.Is(err, broken) {
		t.Errorf("%+v, %v", r, err)
	}
}

// An empty file is no chain, and lacks the record that was expected last.
func TestNothingToVerify(t *testing.T) {
	t.Parallel()
	if r := verify(t, nil, audit.Head{}); r.Records != 0 || r.Root != "" || r.Head != (audit.Head{}) {
		t.Errorf("of nothing: %+v", r)
	}
	last := chain(t, 5)[4].Head()
	if r := verify(t, nil, last); len(r.Problems) == 0 {
		t.Errorf("of nothing, with a last record expected: %+v", r)
	}
}
