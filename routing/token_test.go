package routing

import (
	"strconv"
	"strings"
	"testing"
)

func TestTokens(t *testing.T) {
	for _, want := range []Token{
		{IDOf("b", "k"), "c1", "v"}, {IDOf("b", strings.Repeat("k", 1024)), strings.Repeat("c", 63), strings.Repeat("v", 64)}, {IDOf("", ""), "c-1", ""},
	} {
		s := want.String()
		if got, ok := ParseToken(s); !ok || got != want || len(s) > maxToken {
			t.Errorf("%s: %+v %t, want %+v", s, got, ok, want)
		}
	}
	if s := (Token{Cluster: "c", Version: strings.Repeat("v", 500)}).String(); len(s) > maxToken {
		t.Errorf("%d bytes", len(s))
	}
	for _, bad := range []string{"", "1", "1.AAAA.c1.dg", "2.AAAAAAAAAAAAAAAA.c1.dg", "1.AAAAAAAAAAAAAAAA..dg", "1.AAAAAAAAAAAAAAAA.c1.!", "1.AAAAAAAAAAAAAAAA.c1.dg.x", strings.Repeat("1", 300)} {
		if _, ok := ParseToken(bad); ok {
			t.Errorf("%q is taken", bad)
		}
	}
}

// BenchmarkMarkTokens measures what a request costs that names as many inputs and tokens as one
// may.
func BenchmarkMarkTokens(b *testing.B) {
	inputs := make([]Input, 1000)
	for i := range inputs {
		inputs[i] = Input{Scope: ScopeObject, Bucket: "bkt", Key: strconv.Itoa(i)}
	}
	var list []string
	for i := range 32 {
		list = append(list, Token{Object: IDOf("bkt", strconv.Itoa(i)), Cluster: "c1", Version: "v"}.String())
	}
	tokens := strings.Join(list, ",")
	for b.Loop() {
		if !MarkTokens(inputs, tokens, len(list)) {
			b.Fatal("not read")
		}
	}
}
