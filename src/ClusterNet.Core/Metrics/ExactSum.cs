using System.Buffers.Binary;
using System.Numerics;

namespace ClusterNet.Core.Metrics;

/// <summary>
/// A sum of doubles without any rounding: a fixed-point number that spans the whole range of double (Kulisch's long accumulator). Adding is associative and commutative, bit for
/// bit; only <see cref="Value"/> rounds, once, to nearest even. Holds up to 2^63 addends.
/// </summary>
internal sealed class ExactSum
{
    /// <summary>The unit is 2 to this power: the smallest subnormal.</summary>
    public const int UnitExponent = -1074;

    // 2098 bits reach from the smallest subnormal to the largest double; 67 x 32 bits and a signed 64-bit top leave room for 2^63 addends.
    private const int Digits = 68;
    private const int MaxBytes = 272;
    private const int AddsBetweenCarries = 1 << 30;

    private readonly long[] _digits = new long[Digits];
    private int _pending;
    private bool _hasNaN;
    private bool _hasPositiveInfinity;
    private bool _hasNegativeInfinity;

    /// <summary>The sum, rounded once. As IEEE addition has it, NaN with a NaN addend or infinities of both signs, an infinity with one.</summary>
    public double Value =>
        _hasNaN || (_hasPositiveInfinity && _hasNegativeInfinity) ? double.NaN
        : _hasPositiveInfinity ? double.PositiveInfinity
        : _hasNegativeInfinity ? double.NegativeInfinity
        : Round(Units, UnitExponent);

    /// <summary>Whether every addend was a finite number.</summary>
    public bool IsFinite => !(_hasNaN || _hasPositiveInfinity || _hasNegativeInfinity);

    /// <summary>The sum of the finite addends as a multiple of 2 to the <see cref="UnitExponent"/>.</summary>
    public BigInteger Units
    {
        get
        {
            Carry();
            Span<byte> bytes = stackalloc byte[4 * (Digits - 1) + 8];
            for (var i = 0; i < Digits - 1; i++)
                BinaryPrimitives.WriteUInt32LittleEndian(bytes[(4 * i)..], (uint)_digits[i]);
            BinaryPrimitives.WriteInt64LittleEndian(bytes[(4 * (Digits - 1))..], _digits[^1]);
            return new BigInteger(bytes);
        }
    }

    /// <summary><paramref name="value"/> x 2^<paramref name="exponent"/> as the nearest double, ties to even; infinite beyond the range.</summary>
    public static double Round(BigInteger value, int exponent)
    {
        var magnitude = BigInteger.Abs(value);
        var bits = (int)magnitude.GetBitLength();
        var lowest = Math.Max(bits + exponent - 53, UnitExponent);
        var dropped = lowest - exponent;
        if (dropped <= 0)
        {
            magnitude <<= -dropped;
        }
        else
        {
            var rest = magnitude & ((BigInteger.One << dropped) - 1);
            magnitude >>= dropped;
            var comparison = rest.CompareTo(BigInteger.One << (dropped - 1));
            if (comparison > 0 || (comparison == 0 && !magnitude.IsEven))
                magnitude += 1;
        }
        return Math.ScaleB((double)(ulong)magnitude, lowest) * value.Sign;
    }

    /// <summary>Adds one number.</summary>
    public void Add(double value)
    {
        var bits = BitConverter.DoubleToUInt64Bits(value);
        var exponent = (int)(bits >> 52) & 0x7FF;
        if (exponent == 0x7FF)
        {
            _hasNaN |= double.IsNaN(value);
            _hasPositiveInfinity |= double.IsPositiveInfinity(value);
            _hasNegativeInfinity |= double.IsNegativeInfinity(value);
            return;
        }
        var mantissa = bits & 0xFFFFFFFFFFFFFUL;
        if (exponent != 0)
        {
            mantissa |= 1UL << 52;
            exponent--;
        }
        var shifted = (UInt128)mantissa << (exponent % 32);
        var digit = exponent / 32;
        var sign = 1 - 2 * (long)(bits >> 63);
        _digits[digit] += sign * (uint)shifted;
        _digits[digit + 1] += sign * (uint)(shifted >> 32);
        _digits[digit + 2] += sign * (uint)(shifted >> 64);
        if (++_pending == AddsBetweenCarries)
            Carry();
    }

    /// <summary>Adds another sum.</summary>
    public void Add(ExactSum other)
    {
        Carry();
        other.Carry();
        for (var i = 0; i < Digits; i++)
            _digits[i] += other._digits[i];
        Carry();
        _hasNaN |= other._hasNaN;
        _hasPositiveInfinity |= other._hasPositiveInfinity;
        _hasNegativeInfinity |= other._hasNegativeInfinity;
    }

    /// <summary>Writes it: a byte of flags, then the units in two's complement as a count of leading zero bytes (u2), a length (u2) and the bytes, lowest first.</summary>
    public void Write(BinaryWriter writer)
    {
        ReadOnlySpan<byte> bytes = Units.ToByteArray();
        var zeros = bytes.IndexOfAnyExcept((byte)0);
        bytes = zeros < 0 ? [] : bytes[zeros..];
        writer.Write((byte)((_hasNaN ? 1 : 0) | (_hasPositiveInfinity ? 2 : 0) | (_hasNegativeInfinity ? 4 : 0)));
        writer.Write((ushort)Math.Max(0, zeros));
        writer.Write((ushort)bytes.Length);
        writer.Write(bytes);
    }

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    /// <exception cref="FormatException">it is not of that form</exception>
    public static ExactSum Read(ref MetricReader reader)
    {
        var flags = reader.Byte();
        var (zeros, length) = (reader.UInt16(), reader.UInt16());
        if (flags > 7 || zeros + length > MaxBytes)
            throw new FormatException("a sum is not of the right form");
        var units = new BigInteger(reader.Bytes(length)) << (8 * zeros);
        var sum = new ExactSum { _hasNaN = (flags & 1) != 0, _hasPositiveInfinity = (flags & 2) != 0, _hasNegativeInfinity = (flags & 4) != 0 };
        for (var i = 0; i < Digits - 1; i++)
            sum._digits[i] = (long)((units >> (32 * i)) & uint.MaxValue);
        sum._digits[^1] = (long)(units >> (32 * (Digits - 1)));
        return sum;
    }

    private void Carry()
    {
        var carry = 0L;
        for (var i = 0; i < Digits - 1; i++)
        {
            var digit = _digits[i] + carry;
            _digits[i] = digit & uint.MaxValue;
            carry = digit >> 32;
        }
        _digits[^1] += carry;
        _pending = 0;
    }
}
