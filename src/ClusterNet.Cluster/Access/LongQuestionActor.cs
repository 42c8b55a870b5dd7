using Akka.Actor;
using static ClusterNet.Cluster.Access.AccessProtocol;

namespace ClusterNet.Cluster.Access;

/// <summary>
/// Asks what may take long, such as to read a job's data: waits as long as signs of life come (<see cref="Replies.AtWork"/>), and no longer. Where they end, the node that was asked is gone or the question or
/// its answer got lost: it is asked again, so that only what changes nothing can be asked like this. Lives for one question.
/// </summary>
internal sealed class LongQuestionActor : ReceiveActor
{
    /// <summary>Without a sign of life, until it is asked again: four of them may get lost.</summary>
    public static readonly TimeSpan Silence = 4 * SignsOfLife.Interval;

    /// <summary>Questions that nobody gave a sign of life to, one after the other, until it is given up.</summary>
    public const int MostUnheard = 3;

    private readonly object _question;
    private readonly Action<object, IActorRef> _tell;
    private readonly bool _leavesNode;
    private readonly TaskCompletionSource<object> _answer;
    private IActorRef? _sending;
    private int _unheard;

    public LongQuestionActor(object question, Action<object, IActorRef> tell, bool leavesNode, TimeSpan silence, TaskCompletionSource<object> answer)
    {
        (_question, _tell, _leavesNode, _answer) = (question, tell, leavesNode, answer);
        Context.SetReceiveTimeout(silence);
        Receive<Replies.AtWork>(_ => _unheard = 0);
        Receive<ReceiveTimeout>(_ => AskAgain());
        ReceiveAny(reply =>
        {
            _answer.TrySetResult(reply);
            Context.Stop(Self);
        });
    }

    protected override void PreStart() => Ask();

    protected override void PostStop() => _answer.TrySetException(new AskTimeoutException($"{_question.GetType().Name} got no answer"));

    private void AskAgain()
    {
        if (++_unheard == MostUnheard)
            Context.Stop(Self);
        else
            Ask();
    }

    private void Ask()
    {
        if (_sending is not null)
            Context.Stop(_sending);
        if (_leavesNode && PieceSenderActor.IsNeededFor(_question))
            (_sending = Context.ActorOf(PieceSenderActor.PropsFor(_tell))).Tell(_question, Self);
        else
            _tell(_question, Self);
    }
}

/// <summary>Asks what may take long.</summary>
internal static class LongQuestion
{
    /// <summary>Asks and gives the answer. See <see cref="LongQuestionActor"/>.</summary>
    /// <param name="system">where the actor lives</param>
    /// <param name="question">answered by one message; changes nothing however often it is asked</param>
    /// <param name="tell">tells an access actor a message, in the name of an actor</param>
    /// <param name="leavesNode">whether that one is in another process, so that a large question goes in pieces</param>
    /// <param name="silence">without a sign of life, until it is asked again</param>
    /// <param name="cancel">gives up</param>
    /// <exception cref="AskTimeoutException">there were no signs of life, or the actor system ended</exception>
    public static async Task<object> AskAsync(ActorSystem system, object question, Action<object, IActorRef> tell, bool leavesNode, TimeSpan silence, CancellationToken cancel)
    {
        var answer = new TaskCompletionSource<object>(TaskCreationOptions.RunContinuationsAsynchronously);
        var asking = system.ActorOf(Props.Create(() => new LongQuestionActor(question, tell, leavesNode, silence, answer)));
        await using var givingUp = cancel.Register(() =>
        {
            answer.TrySetCanceled(cancel);
            system.Stop(asking);
        }).ConfigureAwait(false);
        return await answer.Task.ConfigureAwait(false);
    }
}

/// <summary>Tells who waits for a long answer, again and again, that somebody is at it.</summary>
internal static class SignsOfLife
{
    /// <summary>From one to the next.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private static readonly Replies.AtWork _sign = new();

    /// <summary>As long as the actor lives.</summary>
    /// <param name="context">of the actor that answers, or has it answered</param>
    /// <param name="asker">who waits</param>
    public static ICancelable Start(IActorContext context, IActorRef asker) =>
        context.System.Scheduler.ScheduleTellRepeatedlyCancelable(Interval, Interval, asker, _sign, context.Self);
}
