using System.Runtime.Serialization;
using Akka.Actor;
using Akka.Serialization;

namespace ClusterNet.Cluster.Serialization;

/// <summary>
/// Writes and reads the messages of one protocol by its <see cref="CodecTable"/>. Whatever is wrong with a message or with bytes comes out as a
/// <see cref="SerializationException"/>: that is the one kind that Akka.Remote drops a message for, any other kind costs the connection.
/// </summary>
/// <remarks>
/// Messages with tensors are refused here: they travel by the <see cref="Lanes.Lane"/>. What is stored with tensors is written without releasing a hold, since Akka may write it more than once; what
/// was read holds a buffer of its own.
/// </remarks>
internal abstract class ProtocolSerializer : SerializerWithStringManifest
{
    private readonly CodecTable _table;

    /// <param name="system">resolves actor references</param>
    /// <param name="table">the messages</param>
    /// <param name="identifier">stands beside everything that was ever stored: never changes</param>
    protected ProtocolSerializer(ExtendedActorSystem system, CodecTable table, int identifier)
        : base(system)
    {
        _table = table;
        Identifier = identifier;
    }

    /// <inheritdoc/>
    public override int Identifier { get; }

    /// <inheritdoc/>
    public override string Manifest(object o) => _table.Of(o).Manifest;

    /// <inheritdoc/>
    public override byte[] ToBinary(object obj)
    {
        var codec = _table.Of(obj);
        try
        {
            return codec.Write(obj);
        }
        catch (Exception e) when (e is not (SerializationException or OutOfMemoryException))
        {
            throw new SerializationException($"{codec.Type.Name} ({codec.Manifest}) can't be written: {e.Message}", e);
        }
    }

    /// <inheritdoc/>
    public override object FromBinary(byte[] bytes, string manifest)
    {
        ArgumentNullException.ThrowIfNull(bytes);
        var codec = _table.Of(manifest);
        try
        {
            return codec.Read(bytes, system);
        }
        catch (Exception e) when (e is not (SerializationException or OutOfMemoryException))
        {
            throw new SerializationException($"{codec.Type.Name} ({codec.Manifest}) can't be read from these {bytes.Length} bytes: {e.Message}", e);
        }
    }
}
