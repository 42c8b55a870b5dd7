using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using ClusterNet.Core.Faults;

namespace ClusterNet.Data.Sources;

/// <summary>What one element of a NumPy array is.</summary>
internal enum NpyKind
{
    /// <summary>One byte, 0 or 1.</summary>
    Truth,

    /// <summary>A signed whole number.</summary>
    Signed,

    /// <summary>An unsigned whole number.</summary>
    Unsigned,

    /// <summary>An IEEE 754 number.</summary>
    Float,

    /// <summary>UTF-32 characters, padded with zeros.</summary>
    Unicode,

    /// <summary>ASCII characters, padded with zeros.</summary>
    Bytes,
}

/// <summary>
/// The head of a NumPy array, versions 1 to 3 of https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html: little-endian, C order, up to 4 dimensions.
/// What needs pickle is refused: unpickling a file runs the code in it.
/// </summary>
/// <param name="Type">as NumPy writes it, such as <c>&lt;f4</c></param>
/// <param name="Kind">what an element is</param>
/// <param name="ItemBytes">bytes of an element</param>
/// <param name="Shape">all axes</param>
/// <param name="HeadBytes">bytes before the first element</param>
internal sealed partial record NpyHeader(string Type, NpyKind Kind, int ItemBytes, IReadOnlyList<int> Shape, int HeadBytes)
{
    private const int MaxHeadBytes = 1 << 16;
    private const int MaxTextBytes = 4 * 1024;

    /// <summary>The most axes an array may have.</summary>
    public const int MaxAxes = 4;

    /// <summary>Elements, at most what an array holds.</summary>
    public int Count => (int)Shape.Aggregate(1L, (product, axis) => product * axis);

    /// <summary>Bytes of all elements.</summary>
    public long DataBytes => (long)Count * ItemBytes;

    /// <summary>Whether elements are text.</summary>
    public bool IsText => Kind is NpyKind.Unicode or NpyKind.Bytes;

    /// <summary>Reads the head and leaves the stream at the first element.</summary>
    /// <param name="stream">at the start of the array</param>
    /// <param name="name">how faults call it</param>
    /// <exception cref="InputException">no NumPy array, or one of a kind that is not read</exception>
    public static NpyHeader Read(Stream stream, string name)
    {
        Span<byte> start = stackalloc byte[12];
        if (stream.ReadAtLeast(start[..8], 8, throwOnEndOfStream: false) < 8 || !start.StartsWith(Magic))
            throw new InputException(name, "not a NumPy array: it does not start with its signature");
        var lengthBytes = start[6] switch
        {
            1 => 2,
            2 or 3 => 4,
            var version => throw new InputException(name, $"a NumPy array of format version {version}; versions 1 to 3 are read"),
        };
        var lengthPart = start.Slice(8, lengthBytes);
        if (stream.ReadAtLeast(lengthPart, lengthBytes, throwOnEndOfStream: false) < lengthBytes)
            throw Truncated(name);
        var length = lengthBytes == 2 ? BinaryPrimitives.ReadUInt16LittleEndian(lengthPart) : BinaryPrimitives.ReadUInt32LittleEndian(lengthPart);
        if (length > MaxHeadBytes)
            throw new InputException(name, $"a header of {length} bytes; at most {MaxHeadBytes} are read");
        var bytes = new byte[length];
        if (stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false) < bytes.Length)
            throw Truncated(name);
        return Parse(Encoding.UTF8.GetString(bytes), 8 + lengthBytes + bytes.Length, name);
    }

    /// <summary>What to say of an array that ends early.</summary>
    public static InputException Truncated(string name) => new(name, "the array ends before all of its elements; the file is damaged or was copied in part");

    private static ReadOnlySpan<byte> Magic => [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y'];

    private static NpyHeader Parse(string text, int headBytes, string name)
    {
        var order = OrderPattern().Match(text);
        var shapeText = ShapePattern().Match(text);
        var type = TypePattern().Match(text);
        if (!order.Success || !shapeText.Success)
            throw new InputException(name, "its header has no 'fortran_order' or no 'shape'");
        if (!type.Success)
            throw new InputException(name, "an array of records; give plain arrays of numbers, one for each field");
        var (kind, itemBytes) = Element(type.Groups[1].Value, name);

        var axes = shapeText.Groups[1].Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var shape = new int[axes.Length];
        var elements = 1L;
        for (var i = 0; i < axes.Length; i++)
        {
            if (!int.TryParse(axes[i], NumberStyles.None, CultureInfo.InvariantCulture, out shape[i]))
                throw new InputException(name, $"an axis of {axes[i]}; at most {int.MaxValue} are read");
            elements *= shape[i];
            if (elements > Array.MaxLength)
                throw new InputException(name, $"shape ({string.Join(", ", axes)}) has more than {Array.MaxLength} elements");
        }
        if (axes.Length > MaxAxes)
            throw new InputException(name, $"{axes.Length} dimensions; at most {MaxAxes} are read");
        if (order.Groups[1].Value == "True" && shape.Length > 1)
            throw new InputException(name, "columns first (Fortran order); save it with np.ascontiguousarray(array)");
        return new NpyHeader(type.Groups[1].Value, kind, itemBytes, shape, headBytes);
    }

    private static (NpyKind Kind, int Bytes) Element(string type, string name)
    {
        const string Known = "u1, u2, i1, i2, i4, i8, f4, f8 and b1 are read, and text (U, S) for groups, parts and classes";
        if (type.StartsWith('>'))
            throw new InputException(name, $"big-endian elements ({type}); save it with array.astype('<{type[1..]}')");
        if (type.Contains('O', StringComparison.Ordinal))
            throw new InputException(name, "Python objects, which only pickle reads, and pickle runs code; save plain numbers or text (array.astype('<f4'), array.astype(str))");
        var size = type.Length > 2 && int.TryParse(type.AsSpan(2), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;
        return (type.Length > 1 ? type[1] : ' ', size) switch
        {
            ('b', 1) => (NpyKind.Truth, 1),
            ('u', 1 or 2) => (NpyKind.Unsigned, size),
            ('i', 1 or 2 or 4 or 8) => (NpyKind.Signed, size),
            ('f', 4 or 8) => (NpyKind.Float, size),
            ('U', > 0 and <= MaxTextBytes / 4) => (NpyKind.Unicode, 4 * size),
            ('S', > 0 and <= MaxTextBytes) => (NpyKind.Bytes, size),
            _ => throw new InputException(name, $"elements of type '{type}'; {Known}"),
        };
    }

    [GeneratedRegex(@"'descr'\s*:\s*'([^']*)'")]
    private static partial Regex TypePattern();

    [GeneratedRegex(@"'fortran_order'\s*:\s*(True|False)")]
    private static partial Regex OrderPattern();

    [GeneratedRegex(@"'shape'\s*:\s*\(([0-9,\s]*)\)")]
    private static partial Regex ShapePattern();
}
