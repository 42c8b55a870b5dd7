using Akka.Configuration;
using Akka.Persistence.Sql;
using ClusterNet.Cluster.Lanes;
using ClusterNet.Cluster.Remoting;

namespace ClusterNet.Cluster.Hosting;

/// <summary>What Akka needs to be told, generated from a node's settings.</summary>
internal static class NodeConfiguration
{
    /// <summary>The actor system's name: part of every address, the same on all nodes of a cluster.</summary>
    public const string SystemName = "clusternet";

    /// <summary>What whoever speaks to a node is told too.</summary>
    public static Config Common { get; } = ConfigurationFactory.ParseString($$"""
        akka {
          stdout-loglevel = OFF
          stdout-logger-class = "{{typeof(SilentLogger).FullName}}, {{typeof(SilentLogger).Assembly.GetName().Name}}"
          log-dead-letters = off
          log-dead-letters-during-shutdown = off
          coordinated-shutdown.exit-clr = off
          coordinated-shutdown.run-by-clr-shutdown-hook = off
          # as a node's
          scheduler.tick-duration = 50ms
          remote.dot-netty.tcp.transport-class = "{{typeof(PieceTransport).FullName}}, {{typeof(PieceTransport).Assembly.GetName().Name}}"
          remote.dot-netty.tcp.maximum-frame-size = 1000000b
        }
        """);

    /// <summary>Dispatchers, remoting, cluster, sharding: all but the store.</summary>
    public static Config Cluster { get; } = ConfigurationFactory.ParseString($$"""
        {{Dispatchers.Compute}} {
          type = PinnedDispatcher
        }
        {{Dispatchers.Parameters}} {
          type = ForkJoinDispatcher
          throughput = 1
          dedicated-thread-pool {
            thread-count = 2
          }
        }
        akka {
          # from the start: peers ask it where it is before anything is sent by this node
          extensions = ["{{typeof(LaneExtension).FullName}}, {{typeof(LaneExtension).Assembly.GetName().Name}}"]
          stdout-loglevel = OFF
          stdout-logger-class = "{{typeof(SilentLogger).FullName}}, {{typeof(SilentLogger).Assembly.GetName().Name}}"
          log-dead-letters = off
          log-dead-letters-during-shutdown = off
          coordinated-shutdown.exit-clr = off
          # on a signal the program first takes a checkpoint, with the node alive, and then stops the node itself
          coordinated-shutdown.run-by-clr-shutdown-hook = off
          coordinated-shutdown.phases {
            before-service-unbind.timeout = 9s
            service-requests-done.timeout = 9s
            service-stop.timeout = 9s
            cluster-sharding-shutdown-region.timeout = 9s
          }
          actor.ask-timeout = 30s
          # a node that has nothing to do spends most of what it takes on ticks; what must be on time has an Alarm
          scheduler.tick-duration = 50ms
          remote.dot-netty.tcp.transport-class = "{{typeof(PieceTransport).FullName}}, {{typeof(PieceTransport).Assembly.GetName().Name}}"
          remote.dot-netty.tcp.maximum-frame-size = 1000000b
          # .NET takes it as leave for another process to listen on the same port
          remote.dot-netty.tcp.tcp-reuse-addr = off
          # while a node still tries to connect to an address, it keeps waiting whoever comes from there: a node started again behind
          # a network that has healed would be taken for dead, and so would the one that waits for the operating system's next attempt.
          # It bounds their first words too: two that had just started, on busy cores, needed more than a second, and found each other no more
          remote.dot-netty.tcp.connection-timeout = 4s
          remote.retry-gate-closed-for = 1s
          cluster {
            periodic-tasks-initial-delay = 100ms
            gossip-interval = 200ms
            leader-actions-interval = 200ms
            run-coordinated-shutdown-when-down = on
            downing-provider-class = "Akka.Cluster.SBR.SplitBrainResolverProvider, Akka.Cluster"
            split-brain-resolver {
              active-strategy = keep-majority
              stable-after = 6s
              # without six calm seconds for so long more all nodes down themselves. Akka's own choice is 4.5 s, with which two nodes that are lost five seconds apart take the whole cluster along. Waiting for calm is safe: a shard or a
              # coordinator on either side of a split is fenced by generations and the journal. Not off: who was given up while it joined sees nobody, has no say, and ends by this alone
              down-all-when-unstable = 60s
            }
            # what a lost node had starts elsewhere after so long; without it, after stable-after once more. It is for those who were cut off to end in the meantime. Who does not, because it stands still, can do no harm
            # later either: shards and workers know their generation, and the journal takes each sequence number once
            down-removal-margin = 2s
            # heartbeats run on Akka's internal and remote dispatchers, which have threads of their own
            failure-detector {
              heartbeat-interval = 250ms
              acceptable-heartbeat-pause = 1500ms
              expected-response-after = 500ms
            }
            seed-node-timeout = 2s
            retry-unsuccessful-join-after = 2s
            # the receptionist keeps the way back to who asked for so long after the last that went there
            client.receptionist.response-tunnel-receive-timeout = 600s
            log-info = off
            sharding {
              state-store-mode = ddata
              distributed-data.durable.keys = []
              passivate-idle-entity-after = off
              remember-entities = off
              least-shard-allocation-strategy.rebalance-absolute-limit = 1
              retry-interval = 200ms
              waiting-for-state-timeout = 2s
              verbose-debug-logging = off
            }
            singleton.hand-over-retry-interval = 200ms
            singleton-proxy {
              singleton-identification-interval = 200ms
              # it reports the first look, which comes before the node is up, as thirty seconds of failure
              log-singleton-identification-failure = off
            }
          }
        }
        """);

    /// <summary>Journal and snapshots in one database.</summary>
    /// <param name="provider">linq2db's name of its kind</param>
    /// <param name="connectionString">opens it</param>
    /// <param name="makesTables">whether Akka.Persistence.Sql makes its tables where they are missing</param>
    public static Config Store(string provider, string connectionString, bool makesTables = true)
    {
        var quoted = connectionString.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);
        var initialize = makesTables ? "on" : "off";
        return ConfigurationFactory.ParseString($$"""
            akka.persistence {
              journal {
                plugin = "akka.persistence.journal.sql"
                sql {
                  connection-string = "{{quoted}}"
                  provider-name = "{{provider}}"
                  auto-initialize = {{initialize}}
                  circuit-breaker.call-timeout = 30s
                  # a store that is back is found soon: an open breaker tries no call before
                  circuit-breaker.reset-timeout = 5s
                }
              }
              snapshot-store {
                plugin = "akka.persistence.snapshot-store.sql"
                sql {
                  connection-string = "{{quoted}}"
                  provider-name = "{{provider}}"
                  auto-initialize = {{initialize}}
                  circuit-breaker.call-timeout = 120s
                  # a store that is back is found soon: an open breaker tries no call before
                  circuit-breaker.reset-timeout = 5s
                }
              }
            }
            """).WithFallback(SqlPersistence.DefaultConfiguration);
    }
}
