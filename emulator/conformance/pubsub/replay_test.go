package pubsub_test

import (
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func (w *world) seek(sub string, t time.Time) {
	w.Helper()
	_, err := w.SubscriptionAdminClient.Seek(w.Context(), &pubsubpb.SeekRequest{Subscription: sub, Target: &pubsubpb.SeekRequest_Time{Time: timestamppb.New(t)}})
	if err != nil {
		w.Fatal(err)
	}
}

func TestSeekToATime(t *testing.T) {
	tests := []struct {
		name   string
		conf   *pubsubpb.Subscription
		topic  *durationpb.Duration
		acked  bool // acknowledge all before the seek
		replay bool // acknowledged messages come back
	}{
		{"retained by the subscription", &pubsubpb.Subscription{RetainAckedMessages: true}, nil, true, true},
		{"retained by the topic", &pubsubpb.Subscription{}, durationpb.New(time.Hour), true, true},
		{"not retained", &pubsubpb.Subscription{}, nil, true, false},
		{"not acknowledged", &pubsubpb.Subscription{}, nil, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(w *world) {
				topic := w.createTopic("t")
				if tt.topic != nil {
					_, err := w.TopicAdminClient.UpdateTopic(w.Context(), &pubsubpb.UpdateTopicRequest{
						Topic: &pubsubpb.Topic{Name: topic, MessageRetentionDuration: tt.topic}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"message_retention_duration"}},
					})
					if err != nil {
						w.Fatal(err)
					}
				}
				tt.conf.Name, tt.conf.Topic = "", topic
				sub := w.createSub(tt.conf)
				w.publishData(topic, "1", "2")
				time.Sleep(2 * time.Second)
				middle := time.Now()
				time.Sleep(2 * time.Second)
				w.publishData(topic, "3", "4")
				if tt.acked {
					w.ack(sub, w.pull(sub, 4)...)
				}
				w.seek(sub, middle)
				var want []string
				if tt.replay {
					want = []string{"3", "4"}
				}
				got := w.pull(sub, len(want))
				if diff := cmp.Diff(want, bodies(got)); diff != "" {
					w.Errorf("(-want +got):\n%s", diff)
				}
				w.seek(sub, time.Now().Add(time.Second))
				time.Sleep(2 * time.Second)
				if more := w.pull(sub, 0); len(more) != 0 {
					w.Errorf("after a seek to now: %v", bodies(more))
				}
				w.publishData(topic, "5")
				if diff := cmp.Diff([]string{"5"}, bodies(w.pull(sub, 1))); diff != "" {
					w.Errorf("after the seek (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestSnapshots(t *testing.T) {
	each(t, func(w *world) {
		ctx, admin := w.Context(), w.SubscriptionAdminClient
		sub := w.createSub(&pubsubpb.Subscription{AckDeadlineSeconds: 10})
		topic := w.topic("t")
		w.publishData(topic, "1", "2", "3", "4")
		got := w.pull(sub, 4)
		w.ack(sub, got[0], got[2])
		snap, err := admin.CreateSnapshot(ctx, &pubsubpb.CreateSnapshotRequest{Name: w.snap("n"), Subscription: sub, Labels: map[string]string{"a": "b"}})
		if err != nil {
			w.Fatal(err)
		}
		if left := time.Until(snap.ExpireTime.AsTime()); snap.Topic != topic || snap.Labels["a"] != "b" || left < 6*24*time.Hour || left > 7*24*time.Hour {
			w.Errorf("snapshot: %v", snap)
		}
		_, err = admin.CreateSnapshot(ctx, &pubsubpb.CreateSnapshotRequest{Name: w.snap("n"), Subscription: sub})
		w.refused(err, codes.AlreadyExists, w.snap("n"))
		w.ack(sub, got[1], got[3])
		w.publishData(topic, "5")
		w.ack(sub, w.pull(sub, 1)...)
		for i := range 1500 { // enough for the log to be trimmed, were it not for the snapshot
			if i%100 == 0 {
				w.publishData(topic, fmt.Sprint("more", i))
			}
		}
		w.ack(sub, w.pull(sub, 15)...)

		other := w.createSub(&pubsubpb.Subscription{Name: w.sub("other"), Topic: topic})
		for _, name := range []string{sub, other} {
			if _, err := admin.Seek(ctx, &pubsubpb.SeekRequest{Subscription: name, Target: &pubsubpb.SeekRequest_Snapshot{Snapshot: w.snap("n")}}); err != nil {
				w.Fatal(err)
			}
			got := w.pull(name, 18)
			want := []string{"2", "4", "5"}
			for i := range 15 {
				want = append(want, fmt.Sprint("more", 100*i))
			}
			if diff := cmp.Diff(want, bodies(got)); diff != "" {
				w.Errorf("after the seek of %s (-want +got):\n%s", name, diff)
			}
		}
		if names := all(w, w.TopicAdminClient.ListTopicSnapshots(ctx, &pubsubpb.ListTopicSnapshotsRequest{Topic: topic}).Next, self); len(names) != 1 || names[0] != w.snap("n") {
			w.Errorf("snapshots of the topic: %v", names)
		}
		updated, err := admin.UpdateSnapshot(ctx, &pubsubpb.UpdateSnapshotRequest{
			Snapshot: &pubsubpb.Snapshot{Name: w.snap("n"), Labels: map[string]string{"c": "d"}}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"labels"}},
		})
		if err != nil || updated.Labels["c"] != "d" || len(updated.Labels) != 1 {
			w.Errorf("updated: %v, %v", updated, err)
		}
		if err := admin.DeleteSnapshot(ctx, &pubsubpb.DeleteSnapshotRequest{Snapshot: w.snap("n")}); err != nil {
			w.Error(err)
		}
		_, err = admin.GetSnapshot(ctx, &pubsubpb.GetSnapshotRequest{Snapshot: w.snap("n")})
		w.refused(err, codes.NotFound, w.snap("n"))
	})
}
