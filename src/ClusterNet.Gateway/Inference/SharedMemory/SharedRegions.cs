using System.Net;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Faults;
using Microsoft.AspNetCore.Http;
using Microsoft.Win32.SafeHandles;

namespace ClusterNet.Gateway.Inference.SharedMemory;

/// <summary>
/// The regions of system shared memory that callers on this machine registered. Values are read and written by calls, not by a mapping: an object that its owner cuts short while it is used is a refusal, where a mapping would end the process.
/// </summary>
/// <param name="isServed">whether anybody may use it</param>
internal sealed class SharedRegions(bool isServed) : IDisposable
{
    private const int MaxRegions = 1024;
    private const int MaxNameLength = 255;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Entry> _regions = new(StringComparer.Ordinal);

    private sealed record Entry(SharedRegion Region, SafeFileHandle Handle);

    /// <summary>The regions, for a caller that may use them; null otherwise.</summary>
    public SharedRegions? For(ConnectionInfo connection) => isServed && (connection.RemoteIpAddress is not { } address || IPAddress.IsLoopback(address)) ? this : null;

    /// <summary>The regions of a caller.</summary>
    /// <param name="regions">as <see cref="For"/> has them</param>
    /// <param name="place">what asks for them</param>
    /// <exception cref="PredictionException">it may not use any</exception>
    public static SharedRegions Of(SharedRegions? regions, string place) =>
        regions ?? throw Refusal.Invalid(place, "shared memory is served where the setting http.shared-memory says so, to callers on the same machine; send the values, and take them from the answer");

    /// <summary>Registers a region.</summary>
    /// <exception cref="PredictionException">there is no such memory object, it is too short, or the name is taken</exception>
    public void Register(string name, string key, ulong offset, ulong byteSize)
    {
        if (name.Length is 0 or > MaxNameLength)
            throw Refusal.Invalid("name", $"{name.Length} characters; a region's name has 1 to {MaxNameLength}");
        var handle = Open(key);
        try
        {
            var length = LengthOf(handle, key);
            if (byteSize == 0 || offset > length || byteSize > length - offset)
                throw Refusal.Invalid("byte_size", $"{byteSize} bytes from {offset}, and '{key}' has {length} bytes");
            lock (_lock)
            {
                if (_regions.ContainsKey(name))
                    throw Refusal.Invalid("name", $"shared memory region '{name}' already in manager: unregister it first");
                if (_regions.Count >= MaxRegions)
                    throw new PredictionException(ServingProtocol.FailureKind.Overloaded, [new Fault("name", $"{MaxRegions} regions are registered, which is the most; unregister some")]);
                _regions.Add(name, new Entry(new SharedRegion(name, key, offset, byteSize), handle));
            }
        }
        catch (PredictionException)
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Forgets a region, or all where no name is given. Requests that use it end first. One that is not there is forgotten already.</summary>
    public void Unregister(string? name)
    {
        lock (_lock)
        {
            foreach (var region in _regions.Keys.Where(region => name is null || region == name).ToList())
            {
                _regions.Remove(region, out var entry);
                entry!.Handle.Dispose();
            }
        }
    }

    /// <summary>One region, or all by their names.</summary>
    /// <exception cref="PredictionException">there is none of that name</exception>
    public IReadOnlyList<SharedRegion> List(string? name)
    {
        if (name is not null)
            return [EntryOf(name, "name").Region];
        lock (_lock)
            return [.. _regions.Values.Select(entry => entry.Region).OrderBy(region => region.Name, StringComparer.Ordinal)];
    }

    /// <summary>Whether a part is one of a region.</summary>
    /// <exception cref="PredictionException">it is not</exception>
    public void Check(in SharedPart part, string place) => Find(part, place);

    /// <summary>The bytes of a part.</summary>
    /// <exception cref="PredictionException">there is no such part, or its memory object has become shorter</exception>
    public byte[] Read(in SharedPart part, string place)
    {
        var (handle, start) = Find(part, place);
        var bytes = GC.AllocateUninitializedArray<byte>(checked((int)part.ByteSize));
        return Reach(() =>
        {
            for (var read = 0; read < bytes.Length;)
            {
                var more = RandomAccess.Read(handle, bytes.AsSpan(read), start + read);
                if (more == 0)
                    throw Refusal.Invalid(place, $"the memory object ends {bytes.Length - read} bytes before the values; it has become shorter since it was registered");
                read += more;
            }
            return bytes;
        }, part, place);
    }

    /// <summary>The values that a request wants in shared memory are written there; what goes into the answer instead says where.</summary>
    /// <exception cref="PredictionException">the part is too small, or no longer there</exception>
    public static List<OutputTensor> Place(SharedRegions? regions, List<OutputTensor> outputs, InferRequest request)
    {
        for (var i = 0; i < outputs.Count; i++)
        {
            if (request.Outputs[i].Memory is not { } part)
                continue;
            var place = $"outputs.{outputs[i].Name}.parameters.{SharedPart.RegionName}";
            Of(regions, place).Write(part, outputs[i], place);
            outputs[i] = new OutputTensor.Shared(outputs[i], part);
        }
        return outputs;
    }

    /// <inheritdoc/>
    public void Dispose() => Unregister(null);

    private void Write(SharedPart part, OutputTensor output, string place)
    {
        var size = output.ByteSize;
        if ((ulong)size > part.ByteSize)
            throw Refusal.Invalid(place, $"{part.ByteSize} bytes; the output has {size}");
        var (handle, start) = Find(part, place);
        using var bytes = new PooledBytes(size);
        output.WriteBytes(bytes.GetSpan(size));
        bytes.Advance(size);
        Reach(() =>
        {
            // an object that was cut short would grow again by what is written
            if (RandomAccess.GetLength(handle) < start + size)
                throw Refusal.Invalid(place, "the memory object has become shorter since it was registered");
            RandomAccess.Write(handle, bytes.Written, start);
            return size;
        }, part, place);
    }

    private static T Reach<T>(Func<T> access, SharedPart part, string place)
    {
        try
        {
            return access();
        }
        catch (ObjectDisposedException)
        {
            throw Unknown(part.Region, place);
        }
        catch (IOException exception)
        {
            throw Refusal.Invalid(place, $"the memory object can't be used: {exception.Message}");
        }
    }

    private static PredictionException Unknown(string region, string place) => Refusal.Invalid(place, $"Unable to find shared memory region: '{Refusal.Shown(region)}'; register it first");

    private static SafeFileHandle Open(string key)
    {
        var name = key.StartsWith('/') ? key[1..] : key;
        if (name.Length is 0 or > MaxNameLength || name.StartsWith('.') || !name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '_' or '-' or '.'))
            throw Refusal.Invalid("key", $"'{Refusal.Shown(key)}' is no name of a memory object: letters, digits, '_', '-' and '.', at most {MaxNameLength}, with a slash before them or without");
        if (!OperatingSystem.IsLinux())
            throw Refusal.Invalid("key", "shared memory is served on Linux alone; send the values");
        try
        {
            return PosixMemory.Open(key);
        }
        catch (IOException exception)
        {
            throw Refusal.Invalid("key", $"Unable to open shared memory region '{key}': {exception.Message}");
        }
    }

    private static ulong LengthOf(SafeFileHandle handle, string key)
    {
        try
        {
            return (ulong)RandomAccess.GetLength(handle);
        }
        catch (Exception exception) when (exception is IOException or NotSupportedException)
        {
            throw Refusal.Invalid("key", $"'{key}' is no memory object");
        }
    }

    private Entry EntryOf(string region, string place)
    {
        lock (_lock)
            return _regions.TryGetValue(region, out var entry) ? entry : throw Unknown(region, place);
    }

    private (SafeFileHandle Handle, long Start) Find(in SharedPart part, string place)
    {
        var (region, handle) = EntryOf(part.Region, place);
        return part.Offset <= region.ByteSize && part.ByteSize <= region.ByteSize - part.Offset
            ? (handle, checked((long)(region.Offset + part.Offset)))
            : throw Refusal.Invalid(place, $"{part.ByteSize} bytes from {part.Offset}, and region '{region.Name}' has {region.ByteSize} bytes");
    }
}
