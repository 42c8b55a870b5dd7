using System.IO.Compression;
using ClusterNet.Core.Faults;

namespace ClusterNet.Data.Sources;

/// <summary>A zip of NumPy arrays, as <c>np.savez</c> and <c>np.savez_compressed</c> write it.</summary>
internal sealed class NpzFile : IDisposable
{
    /// <summary>The most bytes of one array of a training file.</summary>
    public const long MaxArrayBytes = 8L << 30;

    private const string Suffix = ".npy";
    private const int MaxArrays = 1000;

    /// <summary>Deflate packs at most 1,032 bytes into one (RFC 1951: 258 bytes in 2 bits); a zip that claims more lies about its sizes.</summary>
    private const long MaxRatio = 1032;

    private readonly ZipArchive _zip;
    private readonly SortedDictionary<string, ZipArchiveEntry> _entries = new(StringComparer.Ordinal);
    private readonly long _maxArrayBytes;

    /// <param name="stream">seekable; owned from here on</param>
    /// <param name="name">how faults call the file</param>
    /// <param name="maxArrayBytes">the most bytes an array may have</param>
    /// <exception cref="InputException">not a zip of arrays</exception>
    public NpzFile(Stream stream, string name, long maxArrayBytes = MaxArrayBytes)
    {
        Name = name;
        _maxArrayBytes = maxArrayBytes;
        try
        {
            _zip = new ZipArchive(stream, ZipArchiveMode.Read);
            if (_zip.Entries.Count > MaxArrays)
                throw new InputException(name, $"{_zip.Entries.Count} entries; at most {MaxArrays} are read");
            foreach (var entry in _zip.Entries.Where(entry => entry.FullName.EndsWith(Suffix, StringComparison.Ordinal)))
            {
                if (!_entries.TryAdd(entry.FullName[..^Suffix.Length], entry))
                    throw new InputException(name, $"array '{entry.FullName}' is in it twice");
            }
        }
        catch (Exception exception) when (exception is InvalidDataException or EndOfStreamException or IOException)
        {
            stream.Dispose();
            throw new InputException(name, $"not an NPZ file (a zip of NumPy arrays): {exception.Message}");
        }
        catch
        {
            stream.Dispose();
            throw;
        }
        if (_entries.Count == 0)
        {
            _zip.Dispose();
            throw new InputException(name, "a zip without any NumPy array (.npy) in it");
        }
    }

    /// <summary>How faults call the file.</summary>
    public string Name { get; }

    /// <summary>The names of the arrays, sorted.</summary>
    public IReadOnlyList<string> Arrays => [.. _entries.Keys];

    /// <summary>Opens a file.</summary>
    public static NpzFile Open(string path) => new(SourceFile.OpenRead(path), path);

    /// <summary>How faults call one array.</summary>
    public string PlaceOf(string array) => $"{Name}:{array}";

    /// <summary>The head of an array.</summary>
    public NpyHeader Head(string array) => Read(array, reader => reader.Header);

    /// <summary>Reads one array.</summary>
    /// <exception cref="InputException">the array is not what it says, or of a kind that is not read</exception>
    public T Read<T>(string array, Func<NpyReader, T> read)
    {
        var entry = _entries[array];
        var place = PlaceOf(array);
        if (entry.Length > (entry.CompressedLength * MaxRatio) + 1024)
            throw new InputException(place, $"{entry.Length} bytes out of {entry.CompressedLength} in the zip can't be; the file is damaged");
        if (entry.Length > _maxArrayBytes)
            throw new InputException(place, $"an array of {entry.Length} bytes; at most {_maxArrayBytes} are read here");
        try
        {
            using var stream = entry.Open();
            var header = NpyHeader.Read(stream, place);
            if (header.HeadBytes + header.DataBytes != entry.Length)
                throw new InputException(place, $"shape ({string.Join(", ", header.Shape)}) of {header.Type} needs {header.DataBytes} bytes, {entry.Length - header.HeadBytes} are there; the file is damaged");
            return read(new NpyReader(stream, header, place));
        }
        catch (Exception exception) when (exception is InvalidDataException or EndOfStreamException or NotSupportedException or IOException)
        {
            throw new InputException(place, $"the array can't be decompressed: {exception.Message}");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _zip.Dispose();
}
