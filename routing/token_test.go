package routing

import (
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
