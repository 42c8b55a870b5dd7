using System.Collections.Immutable;
using Akka.Actor;
using Akka.Configuration;
using Akka.Persistence;
using Akka.Persistence.Journal;
using Akka.Persistence.Snapshot;
using ClusterNet.Cluster.Serialization;

namespace ClusterNet.Cluster.Tests.Models;

/// <summary>What the in-memory store of an actor system does wrong. Set by a test, read by the store's threads.</summary>
public sealed class TestStore : IExtension
{
    /// <summary>
    /// An in-memory journal and snapshot store that can be made to fail, the dispatchers that the actors name, and the project's serializers, which
    /// whatever is stored passes through.
    /// </summary>
    public static readonly Config Config = ConfigurationFactory.ParseString($$"""
        akka.loglevel = WARNING
        akka.persistence.journal.plugin = "test.journal"
        akka.persistence.snapshot-store.plugin = "test.snapshots"
        test.journal {
          class = "{{typeof(FaultyJournal).AssemblyQualifiedName}}"
          plugin-dispatcher = "akka.actor.default-dispatcher"
        }
        test.snapshots {
          class = "{{typeof(FaultySnapshotStore).AssemblyQualifiedName}}"
          plugin-dispatcher = "akka.actor.default-dispatcher"
        }
        {{Cluster.Hosting.Dispatchers.Parameters}} {
          type = Dispatcher
        }
        {{Cluster.Hosting.Dispatchers.Compute}} {
          type = PinnedDispatcher
        }
        akka.actor.ask-timeout = 20s
        akka.test.single-expect-default = 20s
        akka.test.default-timeout = 20s
        """).WithFallback(SerializationConfiguration.Config);

    private volatile string? _failWrites;
    private volatile string? _failSnapshots;
    private volatile bool _isSilent;

    /// <summary>Events whose type has this name fail to be written.</summary>
    public string? FailWrites
    {
        get => _failWrites;
        set => _failWrites = value;
    }

    /// <summary>Whatever is done to snapshots of persistence ids that start so, fails.</summary>
    public string? FailSnapshots
    {
        get => _failSnapshots;
        set => _failSnapshots = value;
    }

    /// <summary>The snapshot store never answers.</summary>
    public bool IsSilent
    {
        get => _isSilent;
        set => _isSilent = value;
    }

    public static TestStore Of(ActorSystem system) => system.WithExtension<TestStore, Provider>();

    /// <summary>What a store gives back for what it was given.</summary>
    internal static object ThroughBytes(ActorSystem system, object stored)
    {
        var serializer = system.Serialization.FindSerializerFor(stored);
        return system.Serialization.Deserialize(serializer.ToBinary(stored), serializer.Identifier, Akka.Serialization.Serialization.ManifestFor(serializer, stored));
    }

    internal Task Gate(string persistenceId)
    {
        if (IsSilent)
            return new TaskCompletionSource().Task;
        return FailSnapshots is { } prefix && persistenceId.StartsWith(prefix, StringComparison.Ordinal) ? Task.FromException(new IOException("the disk is full")) : Task.CompletedTask;
    }

    private sealed class Provider : ExtensionIdProvider<TestStore>
    {
        public override TestStore CreateExtension(ExtendedActorSystem system) => new();
    }
}

public sealed class FaultyJournal : MemoryJournal
{
    private readonly ActorSystem _system = Context.System;
    private readonly TestStore _faults = TestStore.Of(Context.System);

    protected override Task<IImmutableList<Exception>> WriteMessagesAsync(IEnumerable<AtomicWrite> messages, CancellationToken cancellationToken)
    {
        var writes = messages.Select(write => new AtomicWrite(((IImmutableList<IPersistentRepresentation>)write.Payload).Select(Stored).ToImmutableList())).ToArray();
        var fails = writes.SelectMany(write => (IImmutableList<IPersistentRepresentation>)write.Payload).Any(one => one.Payload.GetType().Name == _faults.FailWrites);
        return fails ? throw new IOException("the disk is full") : base.WriteMessagesAsync(writes, cancellationToken);
    }

    private IPersistentRepresentation Stored(IPersistentRepresentation one) => one.WithPayload(TestStore.ThroughBytes(_system, one.Payload));
}

public sealed class FaultySnapshotStore : MemorySnapshotStore
{
    private readonly ActorSystem _system = Context.System;
    private readonly TestStore _faults = TestStore.Of(Context.System);

    protected override async Task SaveAsync(SnapshotMetadata metadata, object snapshot, CancellationToken cancellationToken)
    {
        await _faults.Gate(metadata.PersistenceId);
        await base.SaveAsync(metadata, TestStore.ThroughBytes(_system, snapshot), cancellationToken);
    }

    protected override async Task<SelectedSnapshot?> LoadAsync(string persistenceId, SnapshotSelectionCriteria criteria, CancellationToken cancellationToken)
    {
        await _faults.Gate(persistenceId);
        return await base.LoadAsync(persistenceId, criteria, cancellationToken);
    }

    protected override async Task DeleteAsync(string persistenceId, SnapshotSelectionCriteria criteria, CancellationToken cancellationToken)
    {
        await _faults.Gate(persistenceId);
        await base.DeleteAsync(persistenceId, criteria, cancellationToken);
    }
}
