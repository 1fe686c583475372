package catalog_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
)

// Prices are numbers; what is none, and what no sum could hold, is refused where it stands.
func TestPrices(t *testing.T) {
	t.Parallel()
	body := func(price string) string {
		return `{"name":"c1","zones":["de"],"egress_price":` + price + `,"storage_price":0.023,"links":[{"to":"c2","price":` + price + `}]}`
	}
	for price, want := range map[string]float64{"0": 0, "0.09": 0.09, "9e-2": 0.09, "1000000000": 1e9} {
		c := decode(t, catalog.KindCluster, body(price)).(*catalog.Cluster)
		if c.EgressPrice != want || c.StoragePrice != 0.023 || *c.Links[0].Price != want {
			t.Errorf("%s reads as %v, %v on the link", price, c.EgressPrice, *c.Links[0].Price)
		}
	}
	for price, want := range map[string]string{
		`"9"`:   `"9": expected a number, not a string`,
		`true`:  `"true": expected a number, not true or false`,
		`[9]`:   `"[…]": expected a number, not an array`,
		`1e400`: `"1e400": expected a number below 10^308`,
	} {
		_, err := catalog.DecodeResource(catalog.KindCluster, []byte(body(price)))
		if all := fmt.Sprintf("cluster c1: egress_price: %s; cluster c1: links[0].price: %[1]s", want); err == nil || err.Error() != all {
			t.Errorf("%s:\n%v, want\n%s", price, err, all)
		}
	}
	// Which prices there may be is for validation to say.
	for _, price := range []string{"-0.1", "1e+10"} {
		c := decode(t, catalog.KindCluster, body(price)).(*catalog.Cluster)
		c.Links[0].To = "c-fr"
		violations(t, europe(), c, fmt.Sprintf(`cluster c1: egress_price: %q: expected a price per GB from 0 to 10^9`, price),
			fmt.Sprintf(`cluster c1: links[0].price: %q: expected a price per GB from 0 to 10^9`, price))
	}
	// No price is not the price 0: the cluster's holds for the link.
	if c := decode(t, catalog.KindCluster, body("null")).(*catalog.Cluster); c.EgressPrice != 0 || c.Links[0].Price != nil {
		t.Errorf("null reads as %v, %v on the link", c.EgressPrice, c.Links[0].Price)
	}
}

// What a clone changes of its links, headers and signatures is its own.
func TestCloneSharesNoPointers(t *testing.T) {
	t.Parallel()
	const body = `{"name":"c1","zones":["de"],"links":[{"to":"c2","price":0.5},{"to":"c3"}],"functions":[{"url":"http://f",` +
		`"header":[{"name":"A","value":"b"}],"sign":{"type":"aws","service":"lambda","region":"eu-1","access_key":"k","secret_key":"s"}}]}`
	c := decode(t, catalog.KindCluster, body).(*catalog.Cluster)
	before, err := catalog.EncodeResource(c)
	if err != nil {
		t.Fatal(err)
	}
	d := c.Clone().(*catalog.Cluster)
	*d.Links[0].Price, d.Links[1].To = 7, "changed"
	d.Functions[0].Header[0].Value, d.Functions[0].Sign.Region = "changed", "changed"
	if after, err := catalog.EncodeResource(c); err != nil || string(after) != string(before) {
		t.Errorf("it becomes %s (%v), it was %s", after, err, before)
	}
}

// A resource of any kind may leave out the name that it is addressed by, and say no other.
func TestDecodeNamedOfEachKind(t *testing.T) {
	t.Parallel()
	in := europe()
	for _, kind := range catalog.Kinds {
		body := `{%s"origin":"api"}`
		if kind == catalog.KindCluster {
			body = `{%s"zones":["de"]}`
		} else if kind == catalog.KindKey {
			body = `{%s"secret":"long-enough"}`
		}
		for _, said := range []string{"", `"name":"abc",`, `"name":null,`} {
			r, err := catalog.DecodeNamed(kind, fmt.Appendf(nil, body, said), "abc", in)
			if err != nil || r.ResourceName() != "abc" || r.ResourceKind() != kind {
				t.Errorf("a %s with %s: %v, %v", kind, said, r, err)
			}
		}
		_, err := catalog.DecodeNamed(kind, fmt.Appendf(nil, body, `"name":"xyz",`), "abc", in)
		if want := fmt.Sprintf(`%s abc: name: "xyz": expected "abc", which it is addressed by, or none`, kind); err == nil || err.Error() != want {
			t.Errorf("a %s of another name: %v, want %s", kind, err, want)
		}
	}
	if _, err := catalog.DecodeNamed("planet", []byte(`{}`), "mars", in); err == nil || !strings.Contains(err.Error(), "planet") {
		t.Errorf("a kind that there is not: %v", err)
	}
}

// Null is the same as a value left out, for each value that reads itself.
func TestNullIsLeftOut(t *testing.T) {
	t.Parallel()
	c, s, d, o := catalog.Copies{N: 2}, catalog.Size(5), catalog.Duration(7), catalog.RawObject(`{"a":1}`)
	for _, v := range []json.Unmarshaler{&c, &s, &d, &o} {
		if err := v.UnmarshalJSON([]byte("null")); err != nil {
			t.Errorf("%T: %v", v, err)
		}
	}
	if c != (catalog.Copies{}) || s != 0 || d != 0 || o != nil {
		t.Errorf("they become %v %v %v %s", c, s, d, o)
	}
	if text, err := json.Marshal(o); err != nil || string(text) != "null" {
		t.Errorf("an object left out is written as %s, %v", text, err)
	}
}

// Times are read in any zone and kept in UTC; what is none is told in the words of the field.
func TestTimes(t *testing.T) {
	t.Parallel()
	k := decode(t, catalog.KindKey, `{"name":"abc","secret":"long-enough","expires":"2027-01-31T02:00:00+02:00"}`).(*catalog.Key)
	if want := time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC); k.Expires != want {
		t.Errorf("it expires at %v, want %v", k.Expires, want)
	}
	for value, shown := range map[string]string{`"tomorrow"`: "tomorrow", `"2027-01-31"`: "2027-01-31", `1801353600`: "1801353600", `{}`: "{…}"} {
		_, err := catalog.DecodeResource(catalog.KindKey, []byte(`{"name":"abc","secret":"long-enough","expires":`+value+`}`))
		if want := fmt.Sprintf(`key abc: expires: %q: expected a time such as 2027-01-31T00:00:00Z (RFC 3339)`, shown); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", value, err, want)
		}
	}
}

// A cluster that is in no zone may be anywhere, so that no policy which excludes zones allows it.
func TestNoZoneIsNotAllowedWhereZonesAreExcluded(t *testing.T) {
	t.Parallel()
	in, nowhere := europe(), &catalog.Cluster{Name: "nowhere"}
	for policy, want := range map[string]string{
		"default": "allowed",
		"eu-only": "not in the policy's zones eu",
		"not-eu":  "in no zone, so it may be in one that is excluded by the policy",
		"just-fr": "not among the policy's clusters c-fr",
	} {
		p := in.Policy(policy)
		d := catalog.Deny(p, nowhere, in.Zone)
		if got := d.Reason(p); got != want || d.Allowed() != (want == "allowed") || catalog.PolicyAllows(p, nowhere, in) != d.Allowed() {
			t.Errorf("policy %s: %s, allowed: %t; want %s", policy, got, d.Allowed(), want)
		}
	}
	// Zones that lie in one another in a circle, which validation refuses, lead nowhere either.
	in.ZoneMap["eu"] = &catalog.Zone{Name: "eu", Parent: "de"}
	if catalog.PolicyAllows(&catalog.Policy{ExcludeZones: []string{"us"}}, in.Cluster("c-de"), in) {
		t.Error("a cluster is allowed whose zones lie in a circle")
	}
}
