using Akka.Event;
using ClusterNet.Cluster.Models;
using static ClusterNet.Cluster.Training.TrainingProtocol;

namespace ClusterNet.Cluster.Training;

/// <summary>
/// Versions that are handed over while the job trains. Each epoch that is the best so far is committed first, so that no recovery goes back behind it, then made a version the same way as at the end, then labelled. The registry gives a job's
/// step one number for ever, and every phase may be done again: whoever dies on the way, the version is there once.
/// </summary>
internal sealed partial class JobCoordinatorActor
{
    private bool LacksHandOver(long step) =>
        Spec.Training.Publish is not null && Evaluates && step > 0 && Epochs is [.., { IsBest: true } best] && best.Step == step
        && _state.HandedOver?.Step != step && Run.FailedCheckpoint < step;

    private void HandOver(long step)
    {
        if (step <= _state.RestoreStep)
        {
            MakeVersion(step, isHandOver: true);
            return;
        }
        // one that can't be saved is not handed over; the next one is
        _afterCheckpoint = () =>
        {
            if (_state.RestoreStep < step && Run.FailedCheckpoint < step)
                return;
            _afterCheckpoint = null;
            AtBoundary(step);
        };
        Become(() => Concluding(() => { }));
        Repeat(() => TakeCheckpoint(step));
    }

    private void ReserveForHandOver(Conclusion conclusion)
    {
        Become(() => Concluding(() => Command<ModelProtocol.Replies.Reserved>(reserved => Publish(conclusion, reserved.Version))));
        Repeat(() => _environment.Models.Tell(new ModelProtocol.Commands.Reserve(Spec.Name, _job) { Step = conclusion.Step }, Self));
    }

    /// <summary>Those that serve go by the label. One that can't be set, since somebody deleted the version, is no reason to stop training.</summary>
    private void Label(Events.VersionHandedOver made, Action goOn)
    {
        var label = Spec.Training.Publish!.Label;
        Become(() => Concluding(() =>
        {
            Command<ModelProtocol.Replies.Labelled>(labelled => labelled.Version == made.Version.Version && labelled.Label == label, _ => goOn());
            Command<ModelProtocol.Replies.Unknown>(unknown => Unlabelled(unknown.Fault.ToString()));
            Command<ModelProtocol.Replies.Refused>(refused => Unlabelled(string.Join("; ", refused.Faults)));
        }));
        Repeat(() => _environment.Models.Tell(new ModelProtocol.Commands.SetLabel(made.Version.Model, label, made.Version.Version), Self));

        void Unlabelled(string reason)
        {
            _log.Warning("Job {Job}: {Version} does not get the label {Label}: {Reason}", _job, made.Version, label, reason);
            goOn();
        }
    }

    private void HandedOver(long step, Events.VersionHandedOver made) => Persist(made, persisted =>
    {
        _state.Apply(persisted);
        _log.Info("Job {Job}: {Version} is handed over, of step {Step}", _job, made.Version, made.Step);
        AtBoundary(step);
    });
}
