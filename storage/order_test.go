package storage

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// original draws a version as a user writes it, from so few values that ties come up.
func original(t *rapid.T) Version {
	v := Version{Written: time.UnixMilli(rapid.Int64Range(1, 4).Draw(t, "at")).UTC()}
	v.Key, v.LastModified = "k", v.Written
	v.VersionID = rapid.StringMatching("[a-c]{2}").Draw(t, "id")
	if v.Deleted = rapid.Bool().Draw(t, "deleted"); !v.Deleted {
		v.ETag, v.Size = rapid.StringMatching("[a-c]").Draw(t, "etag"), rapid.Int64Range(0, 2).Draw(t, "size")
	}
	return v
}

// shownAs is what a storage shows of a copy of v: itself, or with its own ETag, time and
// version ID and a stamp.
func shownAs(t *rapid.T, v Version) Version {
	if v.Deleted || !v.Exists() || rapid.Bool().Draw(t, "preserved") {
		return v
	}
	c := v
	c.Source = v.origin()
	c.ETag, c.VersionID = v.ETag+"-2", "elsewhere"
	c.LastModified = v.LastModified.Add(time.Duration(rapid.IntRange(-9, 9).Draw(t, "skew")) * time.Hour)
	c.Written = written(c.Object)
	return c
}

// TestVersionsAreTotallyOrdered: any three versions, seen through any of their copies, are
// ordered in one way.
func TestVersionsAreTotallyOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vs := []Version{original(t), original(t), original(t), {}}
		for _, a := range vs {
			for _, b := range vs {
				ab := CompareVersions(a, b)
				if got := CompareVersions(shownAs(t, a), shownAs(t, b)); got != ab {
					t.Fatalf("%+v and %+v: %d, but %d by their copies", a, b, ab, got)
				}
				if CompareVersions(b, a) != -ab {
					t.Fatalf("%+v and %+v: not antisymmetric", a, b)
				}
				if same := a.origin() == b.origin() && a.Deleted == b.Deleted; same && ab != 0 {
					t.Fatalf("%+v and %+v are one and compare as %d", a, b, ab)
				}
				for _, c := range vs {
					if ab <= 0 && CompareVersions(b, c) <= 0 && CompareVersions(a, c) > 0 {
						t.Fatalf("not transitive: %+v, %+v, %+v", a, b, c)
					}
				}
			}
		}
	})
}

// TestWinnerIsTheSameFromEverySide: in whatever order storages are asked, and whichever
// copies they show, the same version comes out last.
func TestWinnerIsTheSameFromEverySide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vs := rapid.SliceOfN(rapid.Custom(original), 1, 6).Draw(t, "versions")
		want := slices.MaxFunc(vs, CompareVersions)
		seen := make([]Version, len(vs))
		for i, j := range rapid.Permutation(indices(len(vs))).Draw(t, "order") {
			seen[i] = shownAs(t, vs[j])
		}
		if got := slices.MaxFunc(seen, CompareVersions); CompareVersions(got, want) != 0 {
			t.Fatalf("%+v won, from elsewhere %+v", got, want)
		}
	})
}

func indices(n int) []int {
	is := make([]int, n)
	for i := range is {
		is[i] = i
	}
	return is
}

func ExampleCompareVersions() {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	content := Version{Object: Object{ETag: "e"}, Written: at}
	marker := Version{Deleted: true, Written: at}
	fmt.Println(CompareVersions(content, marker), CompareVersions(marker, Version{}))
	// Output: 1 1
}
