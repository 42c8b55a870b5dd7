using System.Collections.Concurrent;
using Akka.Actor;

namespace ClusterNet.Client.Messages;

/// <summary>
/// Asks through the cluster client. The node's receptionist keeps a way back to each actor that has asked, for ten minutes: an actor for each question, as <c>Ask</c> makes, would leave a node with hundreds of thousands of them.
/// So a few actors ask again and again, each one question at a time. One whose answer did not come says that nobody waits for it, and is not used again: a late answer would be taken for the next one's. Thread-safe.
/// </summary>
/// <param name="system">Akka's</param>
/// <param name="client">the cluster client</param>
/// <param name="withdrawal">says that nobody waits for what the sender has asked</param>
internal sealed class Askers(ActorSystem system, IActorRef client, object withdrawal)
{
    private readonly ConcurrentBag<IActorRef> _idle = [];

    /// <summary>The answer to a message.</summary>
    /// <exception cref="TimeoutException">there was none in time</exception>
    /// <exception cref="OperationCanceledException">nobody waits for it any more</exception>
    /// <exception cref="InvalidOperationException">the system has ended</exception>
    public async Task<object> AskAsync(object message, TimeSpan patience, CancellationToken cancel)
    {
        var answer = new TaskCompletionSource<object>(TaskCreationOptions.RunContinuationsAsynchronously);
        var asker = _idle.TryTake(out var known) ? known : system.ActorOf(Props.Create(() => new Asker(client, withdrawal)));
        asker.Tell(new Question(message, answer));
        try
        {
            var answered = await answer.Task.WaitAsync(patience, cancel).ConfigureAwait(false);
            _idle.Add(asker);
            return answered;
        }
        catch
        {
            asker.Tell(GiveUp.Instance);
            throw;
        }
    }

    private sealed record Question(object Message, TaskCompletionSource<object> Answer) : INoSerializationVerificationNeeded;

    private sealed class GiveUp : INoSerializationVerificationNeeded
    {
        public static readonly GiveUp Instance = new();
    }

    private sealed class Asker : ReceiveActor
    {
        private TaskCompletionSource<object>? _answer;

        public Asker(IActorRef client, object withdrawal)
        {
            Receive<GiveUp>(_ =>
            {
                client.Tell(withdrawal, Self);
                Context.Stop(Self);
            });
            Receive<Question>(question =>
            {
                _answer = question.Answer;
                client.Tell(question.Message, Self);
            });
            ReceiveAny(answer => _answer?.TrySetResult(answer));
        }
    }
}
