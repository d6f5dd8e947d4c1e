package console

import (
	"net/url"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/callout-dev/callout/shared/errs"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

// lastDeliveries is how many deliveries a target's page shows.
const lastDeliveries = 10

// targetPage is all there is to know of one target.
type targetPage struct {
	targetRow
	Keys       []*actionv2.PublicKey
	Deliveries []*calloutv1.Delivery
	Executions []string
	Rules      rulesForm
	Key        keyForm
	Graces     []grace
}

// grace is for how long a replaced key may go on signing.
type grace struct{ Value, Label string }

func graces(now time.Time) []grace {
	until := func(d time.Duration, label string) grace {
		return grace{d.String(), label + ", until " + now.Add(d).UTC().Format("2 January 15:04") + " UTC"}
	}
	return []grace{until(24*time.Hour, "24 hours"), until(time.Hour, "1 hour"), until(7*24*time.Hour, "7 days"),
		{"0s", "No time: it ends at once"}}
}

func targetPath(id string) string { return root + "targets/" + url.PathEscape(id) }

func showTarget(v *visit) error {
	p, err := readTarget(v)
	if err != nil {
		return err
	}
	return v.page("target", p.Name, p)
}

// readTarget asks for all that the page shows, at once. What the caller may not know is left out.
func readTarget(v *visit) (targetPage, error) {
	p := targetPage{Graces: graces(time.Now())}
	group, ctx := errgroup.WithContext(v.ctx())
	group.Go(func() error {
		found, err := v.actions().GetTarget(ctx, &actionv2.GetTargetRequest{Id: v.id()})
		p.Target = found.GetTarget()
		return err
	})
	group.Go(func() error {
		d, err := v.deliveries().GetTargetDelivery(ctx, &calloutv1.GetTargetDeliveryRequest{Id: v.id()})
		p.Delivery = d
		return orGone(err)
	})
	group.Go(func() error {
		found, err := v.actions().ListPublicKeys(ctx, &actionv2.ListPublicKeysRequest{TargetId: v.id()})
		p.Keys = found.GetPublicKeys()
		return orGone(err)
	})
	group.Go(func() error {
		found, err := v.deliveries().SearchDeliveries(ctx, &calloutv1.SearchDeliveriesRequest{
			Filter: &calloutv1.DeliveryFilter{Target: v.id()}, PageSize: lastDeliveries,
		})
		p.Deliveries = found.GetDeliveries()
		return orGone(err)
	})
	group.Go(func() error {
		found, err := v.actions().ListExecutions(ctx, &actionv2.ListExecutionsRequest{Filters: []*actionv2.ExecutionSearchFilter{{
			Filter: &actionv2.ExecutionSearchFilter_TargetFilter{TargetFilter: &actionv2.TargetFilter{TargetId: v.id()}},
		}}})
		for _, e := range found.GetExecutions() {
			p.Executions = append(p.Executions, conditionID(e.Condition))
		}
		return orGone(err)
	})
	err := group.Wait()
	p.Rules = rulesOf(p.Delivery)
	return p, err
}

// orGone lets a part of a page be missing where the caller may not see it, or where it went a moment ago. What the page is about says so
// itself.
func orGone(err error) error {
	if kind := kindOf(err); err == nil || kind == errs.PermissionDenied || kind == errs.NotFound || kind == errs.FailedPrecondition {
		return nil
	}
	return err
}

// rulesForm is how deliveries to a target are tried, as text.
type rulesForm struct {
	Schedule, Rate, Concurrency string
	Problems                    problems
}

func rulesOf(d *calloutv1.TargetDelivery) rulesForm {
	f := rulesForm{Schedule: strings.Join(d.GetSchedule(), " ")}
	if n := d.GetRatePerSecond(); n > 0 {
		f.Rate = decimal(n)
	}
	if n := d.GetConcurrency(); n > 0 {
		f.Concurrency = decimal(n)
	}
	return f
}

// updateDelivery changes a target's own rules. What is empty is the installation's.
func updateDelivery(v *visit) error {
	f := rulesForm{Schedule: v.form("schedule"), Rate: v.form("rate"), Concurrency: v.form("concurrency"), Problems: problems{}}
	request := &calloutv1.UpdateTargetDeliveryRequest{Id: v.id(), Schedule: &structpb.ListValue{}}
	for wait := range strings.FieldsFuncSeq(f.Schedule, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		request.Schedule.Values = append(request.Schedule.Values, structpb.NewStringValue(wait))
	}
	var ok bool
	if request.RatePerSecond, ok = count(f.Rate); !ok {
		f.Problems["rate"] = "This must be a number from 0 to 10000."
	}
	if request.Concurrency, ok = count(f.Concurrency); !ok {
		f.Problems["concurrency"] = "This must be a number from 0 to 1000."
	}
	if len(f.Problems) == 0 {
		_, err := v.deliveries().UpdateTargetDelivery(v.ctx(), request)
		if err == nil {
			return v.done(targetPath(v.id()), note{Text: "The delivery rules are saved."})
		}
		if f.Problems, ok = refused(err, "schedule", "rate", "concurrency"); !ok {
			return err
		}
	}
	p, err := readTarget(v)
	if err != nil {
		return err
	}
	p.Rules = f
	return v.again("target", p.Name, p)
}

func pauseTarget(v *visit) error {
	if _, err := v.deliveries().PauseTarget(v.ctx(), &calloutv1.PauseTargetRequest{Id: v.id()}); err != nil {
		return err
	}
	return v.done(targetPath(v.id()), note{Text: "The target is paused. What comes for it waits."})
}

func resumeTarget(v *visit) error {
	if _, err := v.deliveries().ResumeTarget(v.ctx(), &calloutv1.ResumeTargetRequest{Id: v.id()}); err != nil {
		return err
	}
	return v.done(targetPath(v.id()), note{Text: "The target is active. What waited is delivered, slowly at first."})
}

// testTarget sends an event that this target alone receives, and shows its delivery.
func testTarget(v *visit) error {
	test, err := v.deliveries().TestTarget(v.ctx(), &calloutv1.TestTargetRequest{Id: v.id()})
	if err != nil {
		return err
	}
	return v.done(explainPath(test.EventId, test.Source), note{Text: "A test event is on its way to this target alone."})
}

// rotateKey replaces the signing key.
func rotateKey(v *visit) error {
	overlap, err := time.ParseDuration(v.form("grace"))
	if err != nil {
		overlap = 24 * time.Hour
	}
	changed, err := v.actions().UpdateTarget(v.ctx(), &actionv2.UpdateTargetRequest{Id: v.id(), ExpirationSigningKey: durationpb.New(overlap)})
	if err != nil {
		return err
	}
	said := "A new key signs from now on, and the former one no more."
	if overlap > 0 {
		until := changed.GetChangeDate().AsTime().Add(overlap).UTC().Format("2006-01-02 15:04:05")
		said = "A new key signs from now on. The former one signs beside it until " + until + " UTC: give receivers the new one by then."
	}
	return v.done(targetPath(v.id()), note{Text: said, Secret: changed.GetSigningKey()})
}

// askDelete asks before a target is deleted.
func askDelete(v *visit) error {
	p, err := readTarget(v)
	if err != nil {
		return err
	}
	return v.page("target_delete", "Delete "+p.Name, p)
}

func deleteTarget(v *visit) error {
	if _, err := v.actions().DeleteTarget(v.ctx(), &actionv2.DeleteTargetRequest{Id: v.id()}); err != nil {
		return err
	}
	return v.done(root+"targets", note{Text: "The target is deleted. Executions leave it out, and what was unfinished for it is given up."})
}
