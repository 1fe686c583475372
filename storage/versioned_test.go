package storage

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/storage/s3"
)

// current is Current, which must not fail.
func (s *side) current(bucket, key string) Version {
	s.tb.Helper()
	v, err := s.Version(s.tb.Context(), bucket, key, "")
	if err != nil {
		s.tb.Fatal(err)
	}
	return v
}

// bring copies what src shows to dst and returns what dst shows then.
func bring(tb testing.TB, src, dst *side, bucket, key string) Version {
	tb.Helper()
	v, there := src.current(bucket, key), dst.current(bucket, key)
	if v.Deleted {
		if err := dst.Cover(tb.Context(), bucket, v, there); err != nil {
			tb.Fatal(err)
		}
		return dst.current(bucket, key)
	}
	cond := Condition{Absent: there.ETag == "", IfETag: there.ETag}
	if _, err := Copy(tb.Context(), src, dst, bucket, v.Object, CopyOptions{If: cond, Version: &v}); err != nil {
		tb.Fatal(err)
	}
	return dst.current(bucket, key)
}

func (s *side) removeAsUser(bucket, key string) {
	s.tb.Helper()
	if err := s.api.RemoveObject(s.tb.Context(), s.Physical(bucket), key, minio.RemoveObjectOptions{}); err != nil {
		s.tb.Fatal(err)
	}
}

// TestVersionsKeepTheirPlace takes one key through writes and deletes on three storages, one
// of them no MinIO, and copies of copies: everywhere the order says that they are the same.
func TestVersionsKeepTheirPlace(t *testing.T) {
	for _, size := range []int{7, smallObject + s3.MinPart + 5} {
		sides := []*side{minioA.side(t), versA.side(t), minioB.side(t)}
		bucket := newBucket(t, true, sides...)
		for turn := range 6 {
			from, via, to := sides[turn%3], sides[(turn+1)%3], sides[(turn+2)%3]
			body := bytes.Repeat([]byte{byte('a' + turn)}, size)
			from.put(bucket, "k", body, minio.PutObjectOptions{PartSize: s3.MinPart, UserMetadata: map[string]string{"n": "1"}})
			want := from.current(bucket, "k")
			for _, step := range [][2]*side{{from, via}, {via, to}, {to, from}} {
				if got := bring(t, step[0], step[1], bucket, "k"); CompareVersions(got, want) != 0 {
					t.Fatalf("%d bytes, %s to %s: %+v, want %+v", size, step[0].Name(), step[1].Name(), got, want)
				}
			}
			for _, s := range sides {
				if !bytes.Equal(s.read(bucket, "k"), body) {
					t.Fatalf("%s has other content", s.Name())
				}
			}
			via.removeAsUser(bucket, "k")
			gone := via.current(bucket, "k")
			if !gone.Deleted || CompareVersions(gone, want) <= 0 {
				t.Fatalf("deleted at %s: %+v, not newer than %+v", via.Name(), gone, want)
			}
			for _, step := range [][2]*side{{via, to}, {to, from}} {
				got := bring(t, step[0], step[1], bucket, "k")
				if !got.Deleted || CompareVersions(got, want) <= 0 || got.Written.Sub(gone.Written) > 9*time.Millisecond {
					t.Fatalf("%s to %s: %+v, want %+v after %+v", step[0].Name(), step[1].Name(), got, gone, want)
				}
			}
		}
	}
}

// TestCopyOverAMarker: an object comes back where a user's delete marker hides the one before, on
// every route and however large it is, also when the marker's object is gone for good or under
// several markers; what is there and is none stays.
func TestCopyOverAMarker(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		if !r.versions {
			bucket = newBucket(t, true, src, dst)
		}
		absent := CopyOptions{If: Condition{Absent: true}}
		for _, size := range []int{7, smallObject + s3.MinPart + 5} {
			for name, hide := range map[string]func(key string){
				"once":  func(key string) { dst.removeAsUser(bucket, key) },
				"twice": func(key string) { dst.removeAsUser(bucket, key); dst.removeAsUser(bucket, key) },
				"and its object removed": func(key string) {
					id := dst.current(bucket, key).VersionID
					dst.removeAsUser(bucket, key)
					if err := dst.api.RemoveObject(t.Context(), dst.Physical(bucket), key, minio.RemoveObjectOptions{VersionID: id}); err != nil {
						t.Fatal(err)
					}
				},
			} {
				key := fmt.Sprintf("%s-%d", name, size)
				dst.put(bucket, key, []byte("before"), minio.PutObjectOptions{})
				hide(key)
				body := bytes.Repeat([]byte{'n'}, size)
				src.put(bucket, key, body, minio.PutObjectOptions{PartSize: s3.MinPart})
				if _, err := Copy(t.Context(), src, dst, bucket, src.current(bucket, key).Object, absent); err != nil {
					t.Fatalf("%s: %v", key, err)
				}
				if !bytes.Equal(dst.read(bucket, key), body) {
					t.Fatalf("%s has other content", key)
				}
				dst.put(bucket, key, []byte("theirs"), minio.PutObjectOptions{})
				src.put(bucket, key, []byte("ours"), minio.PutObjectOptions{})
				if _, err := Copy(t.Context(), src, dst, bucket, src.current(bucket, key).Object, absent); !errors.Is(err, ErrPrecondition) {
					t.Fatalf("%s, where an object is: %v", key, err)
				}
			}
		}
	})
}

// TestVersionsInOrder: versions and delete markers of many keys are listed by key, the latest of each
// first, also by a storage that tells of all markers before all versions.
func TestVersionsInOrder(t *testing.T) {
	for name, l := range map[string]lazy{"minio": minioA, "versitygw": versA} {
		t.Run(name, func(t *testing.T) {
			s := l.side(t)
			bucket := newBucket(t, true, s)
			for _, step := range []string{"a", "b", "-a", "-b", "c", "a", "-c", "d"} { // "-": a delete
				if key, gone := strings.CutPrefix(step, "-"); gone {
					s.removeAsUser(bucket, key)
				} else {
					s.put(bucket, step, []byte("x"), minio.PutObjectOptions{})
				}
			}
			var got []string
			for v, err := range s.wire.Versions(t.Context(), s.Physical(bucket), "", 0) {
				if err != nil {
					t.Fatal(err)
				}
				switch {
				case v.Latest && v.DeleteMarker:
					got = append(got, v.Key+" deleted")
				case v.Latest:
					got = append(got, v.Key+" there")
				default:
					got = append(got, v.Key)
				}
			}
			want := []string{"a there", "a", "a", "b deleted", "b", "c deleted", "c", "d there"}
			if !slices.Equal(got, want) {
				t.Errorf("listed %q, want %q", got, want)
			}
		})
	}
}

// TestMarkersKeepTimeAndID: between MinIOs a delete marker is the same one, wherever there
// was something to delete or not, and making it again changes nothing.
func TestMarkersKeepTimeAndID(t *testing.T) {
	a, b := minioA.side(t), minioB.side(t)
	bucket := newBucket(t, true, a, b)
	a.put(bucket, "k", []byte("x"), minio.PutObjectOptions{})
	a.removeAsUser(bucket, "k")
	want := a.current(bucket, "k")
	for range 2 {
		if err := b.Cover(t.Context(), bucket, want, b.current(bucket, "k")); err != nil {
			t.Fatal(err)
		}
		got := b.current(bucket, "k")
		if !got.Deleted || got.VersionID != want.VersionID || !got.Written.Equal(want.Written) {
			t.Fatalf("%+v, want %+v", got, want)
		}
	}
	b.put(bucket, "k", []byte("y"), minio.PutObjectOptions{})
	if err := b.Cover(t.Context(), bucket, want, want); !errors.Is(err, ErrPrecondition) {
		t.Fatalf("covered what it did not expect: %v", err)
	}
}

// TestLateWinnerStandsOnTop: what wins comes to be seen even where the storage's own clock
// says that what is there is newer, and keeps the time it stands for.
func TestLateWinnerStandsOnTop(t *testing.T) {
	for _, to := range []lazy{minioB, versA} {
		a, b := minioA.side(t), to.side(t)
		bucket := newBucket(t, true, a, b)
		a.put(bucket, "k", []byte("wins"), minio.PutObjectOptions{})
		v := a.current(bucket, "k")
		b.put(bucket, "k", []byte("newer by its clock"), minio.PutObjectOptions{})
		there := b.current(bucket, "k")
		if _, err := Copy(t.Context(), a, b, bucket, v.Object, CopyOptions{If: Condition{IfETag: there.ETag}, Version: &v}); err != nil {
			t.Fatal(err)
		}
		if got := b.current(bucket, "k"); CompareVersions(got, v) != 0 {
			t.Fatalf("%s shows %+v, want %+v", b.Name(), got, v)
		}
	}
}

// TestDeletedSinceTheLook: a version is not put over a delete marker that beats it: users made it
// after the two storages were looked at, and to a condition on content nothing has changed.
func TestDeletedSinceTheLook(t *testing.T) {
	for _, to := range []lazy{minioB, versA} {
		a, b := minioA.side(t), to.side(t)
		bucket := newBucket(t, true, a, b)
		a.put(bucket, "k", []byte("written before it was deleted"), minio.PutObjectOptions{})
		v := a.current(bucket, "k")
		time.Sleep(1100 * time.Millisecond) // another second of one clock
		b.put(bucket, "k", []byte("x"), minio.PutObjectOptions{})
		b.removeAsUser(bucket, "k")
		_, err := Copy(t.Context(), a, b, bucket, v.Object, CopyOptions{If: Condition{Absent: true}, Version: &v})
		if !errors.Is(err, ErrPrecondition) {
			t.Errorf("to %s: %v", b.Name(), err)
		}
		if got := b.current(bucket, "k"); !got.Deleted {
			t.Errorf("%s shows %+v, which was deleted later", b.Name(), got)
		}
	}
}

// TestLoserComesBelow: a version that lost is brought to another storage without changing
// what users see there, from any storage, current or not, once however often.
func TestLoserComesBelow(t *testing.T) {
	for _, from := range []lazy{minioA, versA} {
		a, b := from.side(t), minioB.side(t)
		bucket := newBucket(t, true, a, b)
		a.put(bucket, "k", []byte("lost"), minio.PutObjectOptions{UserMetadata: map[string]string{"n": "1"}})
		loser := a.current(bucket, "k")
		a.put(bucket, "k", []byte("lost too"), minio.PutObjectOptions{})
		time.Sleep(2 * time.Millisecond) // another millisecond of one clock
		b.put(bucket, "k", []byte("won"), minio.PutObjectOptions{})
		winner := b.current(bucket, "k")
		for range 2 {
			if _, err := Copy(t.Context(), a, b, bucket, loser.Object, CopyOptions{Version: &loser, Below: true}); err != nil {
				t.Fatal(err)
			}
		}
		if got := b.current(bucket, "k"); got.VersionID != winner.VersionID {
			t.Fatalf("from %s: %+v is seen, want %+v", a.Name(), got, winner)
		}
		vs, err := b.Versions(t.Context(), bucket, "k")
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(vs, func(v Version) bool { return CompareVersions(v, loser) == 0 })
		if len(vs) != 2 || i != 1 || vs[i].Attributes != loser.Attributes {
			t.Fatalf("from %s: %+v, want %+v among them", a.Name(), vs, loser)
		}
		if err := b.DeleteVersion(t.Context(), bucket, "k", vs[i].VersionID); err != nil {
			t.Fatal(err)
		}
		if vs, _ = b.Versions(t.Context(), bucket, "k"); len(vs) != 1 {
			t.Fatalf("%+v, want one less", vs)
		}
	}
}

// TestOverwriteCountsAsNewer: storages that tell whole seconds have what a user wrote there
// after what it replaced, within the second too.
func TestOverwriteCountsAsNewer(t *testing.T) {
	a, b := minioA.side(t), versA.side(t)
	bucket := newBucket(t, true, a, b)
	a.put(bucket, "k", []byte("copied"), minio.PutObjectOptions{})
	last := bring(t, a, b, bucket, "k")
	for i := range 4 {
		b.put(bucket, "k", []byte{byte('0' + i)}, minio.PutObjectOptions{})
		now := b.current(bucket, "k")
		if CompareVersions(now, last) <= 0 {
			t.Fatalf("write %d is %+v, not newer than %+v", i, now, last)
		}
		last = now
	}
	if all, err := b.Versions(t.Context(), bucket, "k"); err != nil || len(all) != 5 || CompareVersions(all[0], last) != 0 {
		t.Fatalf("%+v, %v", all, err)
	}
}
