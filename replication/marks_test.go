package replication

import (
	"context"
	"fmt"
	"testing"

	"github.com/minio/minio-go/v7"
)

// movePrimary has the bucket's primary move, and waits for that.
func (w *world) movePrimary(bucket, to string) {
	w.Helper()
	w.bucket(bucket, "two", to)
	w.await("the primary moved to "+to, func() bool { return w.status(bucket).Primary == to })
}

// serverSide copies an object within a cluster's storage, as a user does.
func (w *world) serverSide(cluster, bucket, from, to string) {
	w.Helper()
	_, err := w.apis[cluster].CopyObject(context.Background(),
		minio.CopyDestOptions{Bucket: w.prefix + bucket, Object: to}, minio.CopySrcOptions{Bucket: w.prefix + bucket, Object: from})
	w.must(err)
}

// A user may write again what FaDO wrote there last: that is no echo of FaDO's write.
func TestWrittenAgainIsNoEcho(t *testing.T) {
	w, all := anywhereWorld(t, Settings{}, minioA, minioB)
	w.feedsLive(all...)
	w.put("c1", "bkt", "flag", "A")
	w.awaitContent("bkt", "flag", "A", all...)
	w.put("c2", "bkt", "flag", "B")
	w.awaitContent("bkt", "flag", "B", all...)
	w.put("c2", "bkt", "flag", "A")
	w.awaitContent("bkt", "flag", "A", all...)
	w.del("c2", "bkt", "flag")
	w.awaitContent("bkt", "flag", "", all...)
	w.put("c2", "bkt", "flag", "A")
	w.awaitContent("bkt", "flag", "A", all...)
}

// A server-side copy of what FaDO wrote is its user's, though MinIO hands metadata and replica
// status on to it: at a copy it is a conflict.
func TestServerSideCopyAtACopy(t *testing.T) {
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.policy("two", 2, "c1", "c2")
	w.makeBucket("c1", "bkt")
	w.put("c1", "bkt", "k", "v")
	w.bucket("bkt", "two", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.serverSide("c2", "bkt", "k", "my-backup")
	w.await("a conflict", func() bool { return w.conflicts("bkt", "c2")["my-backup"] })
	if got, _ := w.get("c2", "bkt", "my-backup"); got != "v" {
		t.Errorf("the user's copy is %q", got)
	}
}

// What users copy at a primary that moves gets over, whatever it carries along.
func TestServerSideCopiesMove(t *testing.T) {
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.policy("two", 2, "c1", "c2")
	w.makeBucket("c1", "bkt")
	w.put("c1", "bkt", "seed", "v")
	w.bucket("bkt", "two", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.movePrimary("bkt", "c2")
	w.awaitOK("bkt", "c2", "c1")
	stop, done := make(chan struct{}), make(chan []string)
	go func() { // a client that is late to follow the move
		var acked []string
		for i := 0; ; i++ {
			key := fmt.Sprintf("copy%04d", i)
			_, err := w.apis["c2"].CopyObject(context.Background(), minio.CopyDestOptions{Bucket: w.prefix + "bkt", Object: key},
				minio.CopySrcOptions{Bucket: w.prefix + "bkt", Object: "seed"})
			if err == nil {
				acked = append(acked, key)
			}
			select {
			case <-stop:
				done <- acked
				return
			default:
			}
		}
	}()
	w.movePrimary("bkt", "c1")
	close(stop)
	acked := <-done
	if len(acked) == 0 {
		t.Fatal("nothing was acknowledged")
	}
	w.await("everything acknowledged is somewhere", func() bool {
		at1, at2 := w.contents("c1", "bkt"), w.contents("c2", "bkt")
		for _, k := range acked {
			if at1[k] == "" && at2[k] == "" {
				t.Fatalf("%s is nowhere", k)
			}
			if at1[k] == "" && !w.conflicts("bkt", "c2")[k] {
				return false
			}
		}
		return true
	})
}
